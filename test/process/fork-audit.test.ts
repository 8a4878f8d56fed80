// What shares a socket, or holds a connection while it forks, is found after the fork or when the worker is ready, with
// its endpoint and a remedy; what is shared by design is not. In strict mode the worker is not kept.

import { once } from 'node:events'
import { copyFileSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { type AddressInfo, connect, createServer } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { uninstrumentChildren } from '../support/clean-children.js'
import { freePort } from '../support/free-port.js'
import { recordingUpstream } from '../support/recording-upstream.js'
import { CLI } from '../support/run-cli.js'
import { listeningTcpPorts, sharedSockets } from '../support/socket-table.js'
import { type SupervisorProcess, startSupervisor } from '../support/supervisor-process.js'

uninstrumentChildren()

const FIXTURES = 'test/process/fixtures'
const PRIMARY = join(FIXTURES, 'primary-with-sockets.js')
const WORKER = join(FIXTURES, 'worker-with-sockets.js')
const FINDING = /while it forked|shares a |was started with a /

/** A server that accepts, and neither reads nor says anything. */
const startPeer = async (t: Test): Promise<number> => {
  const server = createServer((socket) => socket.on('error', () => {}).resume()).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  return (server.address() as AddressInfo).port
}

const findings = ({ lines }: SupervisorProcess): string[] => lines.filter((line) => FINDING.test(line))

/** Settles when the sockets of each worker have been looked at twice: after its fork and when it was ready. */
const untilLooked = async (supervisor: SupervisorProcess): Promise<void> => {
  const { workers } = await supervisor.waitUntilReady()
  for (const { pid } of workers) {
    const ready = supervisor.lines.findIndex(
      (line) => line.includes(`ready after`) && line.includes(`pid ${pid},`),
    )
    await supervisor.waitForLine(new RegExp(`sockets looked at .*\\b${pid}\\b`), { after: ready })
  }
}

const startPrimary = async (
  t: Test,
  env: NodeJS.ProcessEnv,
): Promise<{ primary: SupervisorProcess; port: number }> => {
  const port = await startPeer(t)
  const primary = startSupervisor(t, {
    program: [PRIMARY],
    env: { SCRIPT: WORKER, UPSTREAM_PORT: String(port), ...env },
  })
  return { primary, port }
}

t.test(
  'a connection that the primary opened at module level, and one that a hook left, are held while it forks',
  async (t) => {
    for (const FAULT of ['module', 'hook']) {
      const { primary, port } = await startPrimary(t, { FAULT })
      await untilLooked(primary)
      await primary.waitForLine(
        new RegExp(
          `primary \\(pid ${primary.pid}\\) held a connection to 127.0.0.1:${port} while it forked; open it in`,
        ),
      )
      t.equal((await primary.cli('reload')).code, 0, 'only a warning')
      await untilLooked(primary)
      t.equal(findings(primary).length, 1, 'once, however often it forks')
    }
  },
)

t.test('a configuration file that opens a connection opens it in the primary', async (t) => {
  const port = await startPeer(t)
  const folder = t.testdir()
  const config = join(folder, 'supervisor.config.mjs')
  writeFileSync(
    config,
    `import { connect } from 'node:net'
     import { once } from 'node:events'
     await once(connect(${port}, '127.0.0.1'), 'connect')
     export default { script: ${JSON.stringify(join(process.cwd(), FIXTURES, 'plain-http.js'))} }`,
  )
  const supervisor = startSupervisor(t, { args: ['--config', config] })
  await supervisor.waitForLine(new RegExp(`held a connection to 127.0.0.1:${port} while it forked`))
})

t.test('a socket that the primary passes to its workers and keeps is shared', async (t) => {
  const { primary, port } = await startPrimary(t, { FAULT: 'passes', ASKS: '1' })
  await untilLooked(primary)
  for (const slot of [0, 1])
    await primary.waitForLine(
      new RegExp(
        `worker ${slot} \\(pid \\d+, generation 1\\) shares a connection to 127.0.0.1:${port} with primary`,
      ),
    )
})

t.test(
  'strict: a release whose workers pass a socket on is rolled back, with the socket in the reason',
  async (t) => {
    const port = await startPeer(t)
    const folder = t.testdir({ 'package.json': '{ "type": "module" }' })
    const script = join(folder, 'app.js')
    copyFileSync(join(FIXTURES, 'plain-http.js'), script)
    const supervisor = startSupervisor(t, {
      args: [script, '--workers', '2', '--fork-guard', 'strict', '--stop-timeout', '2s'],
      env: { PASSES: '1', UPSTREAM_PORT: String(port) },
    })
    const before = await supervisor.waitUntilReady()
    const worker = JSON.stringify(join(process.cwd(), WORKER))
    writeFileSync(script, `import ${worker}`)
    const { code, stdout, stderr } = await supervisor.cli('reload')
    t.equal(code, 5, stdout)
    t.match(
      stdout + stderr,
      new RegExp(
        `worker 0 \\(pid \\d+\\) was not kept \\(forkGuard\\): .*shares a connection to 127.0.0.1:${port} with primary`,
      ),
    )
    const pids = ({ workers }: typeof before) => workers.map(({ pid }) => pid)
    t.same(pids(await supervisor.status()), pids(before), 'the very same workers serve')
  },
)

t.test('strict: a primary that holds a connection for one fork has its workers started again', async (t) => {
  const { primary, port } = await startPrimary(t, { FAULT: 'hook', FORK_GUARD: 'strict', END_LEFT: '1' })
  await primary.waitForLine(
    new RegExp(`worker 0 gone: was not kept .*held a connection to 127.0.0.1:${port}`),
  )
  await primary.waitForLine(/^supervised/)
  const { workers } = await primary.waitUntilReady()
  t.ok(
    workers.every(({ restarts }) => restarts === 1),
    'counted as restarts',
  )
})

t.test('a connection that the launcher left open at a high descriptor', async (t) => {
  const port = await startPeer(t)
  const launch = (...args: string[]): SupervisorProcess =>
    startSupervisor(t, {
      executable: 'bash',
      program: [
        '-c',
        `exec 40<>/dev/tcp/127.0.0.1/${port}; exec "$0" "$@"`,
        process.execPath,
        CLI,
        'start',
        ...args,
      ],
    })
  const app = join(FIXTURES, 'plain-http.js')
  const supervisor = launch(app, '--workers', '2', '--log-level', 'debug')
  await untilLooked(supervisor)
  const primary = `primary \\(pid ${supervisor.pid}\\)`
  const what = `was started with a connection to 127.0.0.1:${port} at descriptor 40, and every worker inherits it`
  await supervisor.waitForLine(new RegExp(`${primary} ${what}; close it before the start: exec 40>&-`))
  t.equal(findings(supervisor).length, 1, 'one finding for one cause')

  const strict = launch(app, '--fork-guard', 'strict', '--name', 'strict')
  await strict.waitForLine(
    new RegExp(`forkGuard is strict, .*connection to 127.0.0.1:${port} at descriptor 40.*exec 40>&-`),
  )
  t.equal((await strict.leavesNothing()).code, 78, 'no worker could pass: it is not started at all')
})

for (const policy of ['round robin', 'SCHED_NONE']) {
  t.test(`nothing is found where all is shared by design: ${policy}`, async (t) => {
    const upstream = await recordingUpstream(t)
    const [port, udp, health] = [await freePort(), await freePort(), await freePort()]
    const peer = await startPeer(t)
    const primary = startSupervisor(t, {
      program: ['--inspect=127.0.0.1:0', PRIMARY],
      env: {
        SCRIPT: WORKER,
        UPSTREAM: upstream.url,
        UPSTREAM_PORT: String(peer),
        PORT: String(port),
        UDP: '1',
        UDP_PORT: String(udp),
        HEALTH: String(health),
        ...(policy === 'SCHED_NONE' ? { SCHED_NONE: '1' } : {}),
      },
    })
    const [, inspector] = await primary.waitForLine(/Debugger listening on ws:\/\/127.0.0.1:(\d+)/)
    await primary.waitForLine(/^supervised/)
    // Connections that come in at the primary itself, and stay: a debugger's and a probe's.
    const staying = [Number(inspector), health].map((to) => connect(to, '127.0.0.1').on('error', () => {}))
    await Promise.all(staying.map((socket) => once(socket, 'connect')))
    const ending = new AbortController()
    const clients = Array.from({ length: 8 }, () => askUntil(port, ending.signal))
    t.equal((await primary.cli('reload')).code, 0)
    await untilLooked(primary)
    const { workers } = await primary.status()
    t.ok(
      workers.every(({ pid }) => sharedSockets(primary.pid, pid ?? 0).length > 0),
      'the workers do share sockets with their primary',
    )
    t.equal(listeningTcpPorts(workers[0]?.pid ?? 0).length > 0, policy === 'SCHED_NONE')
    ending.abort()
    await Promise.all(clients)
    for (const socket of staying) socket.destroy()
    t.same(findings(primary), [])
  })
}

/** Requests on connections of their own, one after the other. */
const askUntil = async (port: number, signal: AbortSignal): Promise<void> => {
  while (!signal.aborted)
    await new Promise<void>((resolve) => {
      request({ port, host: '127.0.0.1', agent: false }, (response) => response.resume().on('close', resolve))
        .on('error', () => resolve())
        .end()
    })
}
