// What `node --import` loads before the user's script in each worker. Inert unless the primary has marked this very
// process: children and threads of the app inherit execArgv, and there it must do nothing and cost nothing.
// The runtime itself is supervised.ts; it is there before the first line of the script, CommonJS or ESM, because Node
// waits for this module's top-level await.

import { STARTUP_VARIABLE } from '../shared/worker-environment.js'

const startup = process.env[STARTUP_VARIABLE]

if (startup !== undefined) {
  const { isMainThread } = await import('node:worker_threads')
  if (isMainThread) {
    delete process.env[STARTUP_VARIABLE]
    const { default: cluster } = await import('node:cluster')
    if (cluster.worker) {
      const { installRuntime } = await import('./supervised.js')
      installRuntime(cluster.worker, JSON.parse(startup))
    }
  }
}
