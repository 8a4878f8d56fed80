// What a relay worker runs: it puts together who takes messages (src/relay/ingress), who keeps and forwards them
// (src/relay/relay.ts) and the runtime of a worker, which knows when this process has to go. It decides nothing.
// The primary forks it (src/primary/worker-process.ts) and hands it its settings in a variable.

import { guardedClient } from '../client/client-registry.js'
import { serveIngress } from '../relay/ingress/serve-ingress.js'
import { Relay } from '../relay/relay.js'
import { openSpool } from '../relay/spool/open-spool.js'
import type { LogLevel } from '../shared/log-level.js'
import { relayDeskPath } from '../shared/relay-desk.js'
import { RELAY_VARIABLE, type RelaySettings } from '../shared/relay-settings.js'
import { runtimeFolder } from '../shared/runtime-folder.js'
import { exclusive } from './exclusive.js'
import { onDrain, onShutdown, ready } from './hooks.js'
import type { ShutdownInfo } from './runtime-slot.js'

/** ms that the owner may wait for proofs of what it has sent, when it leaves. */
const STOP_TIMEOUT = 4_000
/** An orphan has 1.5 s for everything: whoever comes next must not find it. */
const ORPHAN_STOP_TIMEOUT = 700

/** Read once: no child of this process may find secrets in its environment. */
const readSettings = (): RelaySettings => {
  const text = process.env[RELAY_VARIABLE]
  delete process.env[RELAY_VARIABLE]
  if (text === undefined) {
    process.stderr.write("a relay worker is started by 'supervisor relay', or by the option relay\n")
    process.exit(78)
  }
  return JSON.parse(text)
}

/** A line of its own; the primary takes secrets out, and writes whose it is. */
const log = (level: LogLevel, text: string): void => {
  if (level === 'debug') return
  const stream = level === 'info' ? process.stdout : process.stderr
  stream.write(`${text}\n`)
}

const settings = readSettings()
const folder = process.env.SUPERVISOR_FOLDER ?? runtimeFolder(process.env)
const relay = new Relay({
  settings,
  deskPath: relayDeskPath(folder, settings.name),
  exclusive,
  createClient: guardedClient,
  openSpool: (spool, limits) =>
    openSpool({ folder: spool, limits, warn: (text) => log('warn', `spool ${spool}: ${text}`) }),
  log,
})
relay.start()
const ingress = await serveIngress({ door: relay, settings, log })

onDrain(() => {
  ingress.beginDrain()
  relay.beginDrain()
})
// When it runs all requests have been answered: nobody in this process hands over anything any more.
const stopRelay = async ({ reason }: ShutdownInfo): Promise<void> => {
  await relay.stop({ timeout: reason === 'orphaned' ? ORPHAN_STOP_TIMEOUT : STOP_TIMEOUT })
  await ingress.close()
}
onShutdown(stopRelay)
ready()
