// node bench/reload.js: rolling restarts under load, through the real command line. Prints one row a restart and the sum.
//
//   --workers 4      --reloads 20
//   --requests 5000  at least that many requests for each restart
//   --app plain      plain, express, fastify, server-close, exits-at-once, or the path of a script
//
// The load (bench/load.js) never retries. Exits 1 when a request failed or a restart did not succeed.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { startLoad } from './load.js'

const FIXTURES = 'test/process/fixtures'
/** @type {Record<string, string>} */
const APPS = {
  plain: `${FIXTURES}/plain-http.js`,
  express: `${FIXTURES}/express-app.js`,
  fastify: `${FIXTURES}/fastify-app.js`,
  'server-close': `${FIXTURES}/own-sigterm-server-close.js`,
  'exits-at-once': `${FIXTURES}/own-sigterm-exits-at-once.js`,
}
const START_TIMEOUT = 30_000

const { values } = parseArgs({
  options: {
    workers: { type: 'string', default: '4' },
    reloads: { type: 'string', default: '20' },
    requests: { type: 'string', default: '5000' },
    app: { type: 'string', default: 'plain' },
  },
})
const reloads = Number(values.reloads)
const requestsEach = Number(values.requests)
const script = APPS[values.app] ?? values.app
const root = fileURLToPath(new URL('..', import.meta.url))
const folder = mkdtempSync(join(tmpdir(), 'forksafe-bench-'))
const environment = { ...process.env, FORKSAFE_HOME: join(folder, 'run'), NO_COLOR: '1' }

const port = await freePort()
const supervisor = spawn(
  process.execPath,
  ['bin/supervisor.js', 'start', script, '--workers', values.workers],
  { cwd: root, env: { ...environment, PORT: String(port) }, stdio: ['ignore', 'ignore', 'inherit'] },
)
let failedReloads = 0
try {
  await answers(port)
  console.log(
    `${values.app}, ${values.workers} workers, ${reloads} rolling restarts, node ${process.version}`,
  )
  console.log(row(['reload', 'exit', 'ms', 'requests', 'failed', 'slowest ms']))
  await run()
} finally {
  supervisor.kill('SIGTERM')
  if (supervisor.exitCode === null) await once(supervisor, 'exit')
  rmSync(folder, { recursive: true, force: true })
}

async function run() {
  const load = startLoad({ port })
  /** @type {number[]} */
  const times = []
  for (let number = 1; number <= reloads; number++) {
    const before = { requests: load.result.requests, failed: load.result.failed }
    const begun = performance.now()
    const code = await cli('reload')
    const ms = performance.now() - begun
    times.push(ms)
    if (code !== 0) failedReloads += 1
    await load.finished(number * requestsEach)
    const { requests, failed, byLoad } = load.result
    const slowest = Math.max(byLoad.keepalive.slowestMs, byLoad.close.slowestMs)
    console.log(row([number, code, ms, requests - before.requests, failed - before.failed, slowest]))
  }
  const { requests, failed, byKind, byLoad, firstFailures, seconds } = await load.stop()
  times.sort((one, other) => one - other)
  const median = times[Math.floor(times.length / 2)] ?? 0
  console.log(
    `\n${requests} requests in ${seconds.toFixed(1)} s, ${failed} failed${failed > 0 ? ` (${JSON.stringify(byKind)})` : ''}; ` +
      `restart ${median.toFixed(0)} ms (${times[0]?.toFixed(0)}-${times.at(-1)?.toFixed(0)}); ${failedReloads} of ${reloads} restarts failed`,
  )
  for (const [kind, figures] of Object.entries(byLoad)) {
    console.log(
      `  ${kind.padEnd(10)} ${figures.requests} requests, ${figures.failed} failed, slowest ${figures.slowestMs.toFixed(0)} ms`,
    )
  }
  for (const failure of firstFailures) console.log(`  ${JSON.stringify(failure)}`)
  if (failed > 0 || failedReloads > 0) process.exitCode = 1
}

/** @param {string} command @returns {Promise<number | null>} */
async function cli(command) {
  const child = spawn(process.execPath, ['bin/supervisor.js', command], {
    cwd: root,
    env: environment,
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  const [code] = await once(child, 'exit')
  return code
}

/** Settles when the app answers and the supervisor lets itself be asked. @param {number} appPort */
async function answers(appPort) {
  const end = performance.now() + START_TIMEOUT
  while (performance.now() < end && supervisor.exitCode === null) {
    const isUp = await fetch(`http://127.0.0.1:${appPort}/`, { headers: { connection: 'close' } }).then(
      ({ ok }) => ok,
      () => false,
    )
    if (isUp && (await cli('status')) === 0) return
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  throw new Error(
    `${script} did not answer on port ${appPort} (supervisor's exit code: ${supervisor.exitCode})`,
  )
}

/** @param {(string | number | null)[]} cells */
function row(cells) {
  return cells
    .map((cell) => (typeof cell === 'number' ? String(Math.round(cell)) : (cell ?? '-')).padStart(10))
    .join(' ')
}

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = /** @type {import('node:net').AddressInfo} */ (server.address())
  server.close()
  await once(server, 'close')
  return address.port
}
