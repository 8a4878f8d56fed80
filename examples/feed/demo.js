// npm start: a local upstream that records every open and close, and a supervisor with two workers of app.js.
// It prints what the upstream sees. Ctrl-C stops everything and sums up.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { startUpstream } from './upstream.js'

const WORKERS = 2
const NAME = 'feed-demo'
/** ms. A Ctrl-C on a terminal reaches the supervisor too; a signal to the demo alone has to be passed on. */
const FORWARD_AFTER = 300

const root = fileURLToPath(new URL('../..', import.meta.url))
const begun = performance.now()
const upstream = await startUpstream({ keepsMessages: false })
const port = await freePort()

let isReady = false
let isStopping = false
/** Whether the supervisor has said that it stops. */
let hasHeard = false
/** Slots whose workers said that they are ready. @type {Set<number | undefined>} */
const ready = new Set()

const supervisor = spawn(
  process.execPath,
  [
    'bin/supervisor.js',
    'start',
    'examples/feed/app.js',
    ...['--workers', String(WORKERS)],
    ...['--name', NAME],
    ...['--log-format', 'json'],
  ],
  {
    cwd: root,
    env: { ...process.env, UPSTREAM: upstream.url, PORT: String(port) },
    stdio: ['inherit', 'pipe', 'pipe'],
  },
)
for (const stream of [supervisor.stdout, supervisor.stderr]) {
  createInterface({ input: stream }).on('line', showSupervisorLine)
}
upstream.on('record', showRecord)
for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP'])) process.on(signal, stop)

const [code] = await once(supervisor, 'close')
await upstream.waitFor(({ connected }) => connected.length === 0, { timeout: 1_000 }).catch(() => {})
const opened = upstream.upgraded
const closed = opened.filter(({ closeFrameAt }) => closeFrameAt !== null)
console.log(
  `${opened.length} opened, ${closed.length} closed with a Close frame, ${upstream.open.length} left`,
)
await upstream.stop()
process.exitCode = code ?? 1

/** Once, however often the signal comes; to the supervisor, a second signal would mean "at once". */
function stop() {
  if (isStopping) return
  isStopping = true
  setTimeout(() => hasHeard || supervisor.kill('SIGTERM'), FORWARD_AFTER).unref()
}

/**
 * The supervisor's log is JSON, a line each: the demo shows what is wrong, and waits for its workers.
 * @param {string} line
 */
function showSupervisorLine(line) {
  const entry = parse(line)
  if (entry === null) {
    console.log(line)
    return
  }
  if (entry.event === 'workerReady') ready.add(entry.slot)
  if (entry.event === 'stopping') hasHeard = true
  if (entry.source === 'worker' || entry.level === 'warn' || entry.level === 'error') {
    console.log(`${entry.source.padEnd(10)}${entry.msg}`)
  }
  if (!isReady && ready.size === WORKERS) {
    isReady = true
    greet()
  }
}

/** @param {string} line @returns {{ source: string, level: string, event?: string, slot?: number, msg: string } | null} */
function parse(line) {
  try {
    return JSON.parse(line)
  } catch {
    return null
  }
}

function greet() {
  const seconds = ((performance.now() - begun) / 1000).toFixed(1)
  console.log(`forksafe demo: ${WORKERS} workers ready in ${seconds} s
  app       http://127.0.0.1:${port}      upstream  ${upstream.url} (records every open and close)
In another terminal, in this folder:
  curl -d hello http://127.0.0.1:${port}/feed
  npx supervisor status
  npx supervisor reload        roll both workers; watch the connections below
Ctrl-C stops everything and sums up.`)
  for (const record of upstream.records.splice(0)) showRecord(record)
}

/** What came before the greeting is shown after it. @param {import('./upstream.js').UpstreamRecord} record */
function showRecord({ event, connection, openNow }) {
  if (!isReady || (event !== 'open' && event !== 'gone') || connection.openedAt === null) return
  const { slot, generation, code, closeFrameAt } = connection
  const who = `worker ${slot}  generation ${generation}`
  if (event === 'open') console.log(`upstream  open   ${who}              (now ${openNow})`)
  else
    console.log(
      `upstream  close  ${who}  ${closeFrameAt === null ? 'no Close frame' : `code ${code}`.padEnd(10)}  (now ${openNow})`,
    )
}

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = /** @type {import('node:net').AddressInfo} */ (server.address())
  server.close()
  await once(server, 'close')
  return address.port
}
