// What node loads before the user's script in each worker. Inert unless the primary has marked this very process: children
// and threads of the app inherit execArgv, and there it must do nothing.
// The runtime itself is supervised.ts. All imports are static, so that it is there before the first line of the script,
// CommonJS or ESM, and can be packed (scripts/pack.mjs).

import cluster from 'node:cluster'
import { isMainThread } from 'node:worker_threads'
import { STARTUP_VARIABLE } from '../shared/worker-environment.js'
import { installRuntime } from './supervised.js'

const startup = process.env[STARTUP_VARIABLE]

if (startup !== undefined && isMainThread) {
  delete process.env[STARTUP_VARIABLE]
  if (cluster.worker) installRuntime(cluster.worker, JSON.parse(startup))
}
