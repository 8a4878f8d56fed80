// `supervisor audit` on real processes: each fault that is planted is found, with who and where; a service that does as it
// should has no finding. What is a finding, kind by kind, is test/audit/findings.test.ts.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, writeFileSync } from 'node:fs'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'
import t, { type Test } from 'tap'
import type { AuditReport } from '../../src/audit/audit-report.js'
import { isAlive, processIdentity, signalProcess } from '../../src/shared/process-identity.js'
import { audit, inShort, waitForFinding } from '../support/audited.js'
import { cleanEnv, uninstrumentChildren } from '../support/clean-children.js'
import { eventually } from '../support/deadline.js'
import { matchEach } from '../support/match-each.js'
import { recordingUpstream } from '../support/recording-upstream.js'
import { CLI } from '../support/run-cli.js'
import { startSupervisor } from '../support/supervisor-process.js'

uninstrumentChildren()

const FIXTURE = 'test/process/fixtures/holds-what-it-is-told.js'

/** A server of plain TCP on the loopback that keeps what it accepts. */
const tcpUpstream = async (t: Test) => {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket.on('error', () => {}).resume())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(async () => {
    for (const socket of sockets) socket.destroy()
    await promisify(server.close.bind(server))()
  })
  const { port } = server.address() as AddressInfo
  return { port, sockets, endpoint: `127.0.0.1:${port}` }
}

/** Starts the service, whose workers open what they are told. */
const start = async (t: Test, ...args: string[]) => {
  const supervisor = startSupervisor(t, {
    args: [FIXTURE, '--name', 'audited', '--min-uptime', '50ms', ...args],
    env: { PORT: '0' },
  })
  const [, port] = await supervisor.waitForLine(/listening (\d+)/)
  await supervisor.waitUntilReady()
  /** @returns the pid of the worker that did it. */
  const tell = async (kind: string, count: number, to: number): Promise<number> => {
    const answer = await fetch(`http://127.0.0.1:${port}/${kind}/${count}/${to}`, {
      headers: { connection: 'close' },
    })
    return Number(await answer.text())
  }
  return { supervisor, tell, port: Number(port) }
}

t.test('a worker that leaks sockets and WebSockets is named, with the place in its code', async (t) => {
  const upstream = await tcpUpstream(t)
  const webSockets = await recordingUpstream(t)
  const { supervisor, tell } = await start(t, '--workers', '2')
  t.same(inShort((await audit(supervisor)).report), [])
  t.equal((await supervisor.cli('audit')).code, 0)

  const pid = await tell('raw', 5, upstream.port)
  const { code, report } = await audit(supervisor)
  t.equal(code, 6)
  matchEach(t, report.findings, [
    { kind: 'unguardedPile', severity: 'problem', pid, count: 5, endpoint: upstream.endpoint },
  ])
  const what = report.findings[0]?.what ?? ''
  t.match(what, /opened at test\/process\/fixtures\/holds-what-it-is-told\.js:\d+:\d+/)
  const { stdout } = await supervisor.cli('audit')
  t.match(stdout, new RegExp(`worker \\d \\(pid ${pid}, generation 1\\)`))
  t.match(stdout, /to 127\.0\.0\.1:\d+ +5 established +unguarded +\d+s +\d+ \d+ \d+ \+2/)
  t.match(stdout, /\n1 problem\n/)

  const other = await tell('websocket', 3, webSockets.port)
  const { report: later } = await audit(supervisor)
  const ofWebSockets = later.findings.filter(({ endpoint }) => endpoint === `127.0.0.1:${webSockets.port}`)
  // Opened while a request was answered, which says more than that there are three.
  t.match(ofWebSockets, [{ kind: 'connectInRequest', severity: 'problem', pid: other, count: 3 }])
})

t.test('what fetch() keeps for the next request is no finding, however many it was', async (t) => {
  const answers = new Set<Socket>()
  const server = createServer((socket) => {
    answers.add(socket)
    socket
      .on('error', () => {})
      .on('data', () => socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok'))
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    for (const socket of answers) socket.destroy()
    server.close()
  })
  const { supervisor, tell } = await start(t)
  const { port } = server.address() as AddressInfo
  await tell('fetch', 20, port)
  const { report } = await audit(supervisor)
  t.match(report.endpoints, [{ endpoint: `127.0.0.1:${port}`, live: 20, unguarded: 20 }])
  t.same(inShort(report), [])
})

t.test('connections that the other side has closed, and more than the budget, are found', async (t) => {
  const upstream = await tcpUpstream(t)
  const { supervisor, tell } = await start(t, '--connection-budget', `${upstream.endpoint}=1`)
  const pid = await tell('raw', 2, upstream.port)
  const over = await audit(supervisor)
  t.equal(over.code, 6)
  t.match(over.report.findings, [{ kind: 'overBudget', count: 2, pid, endpoint: upstream.endpoint }])
  t.match(over.report.endpoints, [{ endpoint: upstream.endpoint, live: 2, budget: 1 }])

  const kept = new Set(upstream.sockets)
  await tell('half', 3, upstream.port)
  await eventually(
    () => upstream.sockets.size,
    (size) => size === 5,
    { what: 'the upstream to have accepted five' },
  )
  for (const socket of upstream.sockets) if (!kept.has(socket)) socket.end()
  const { finding } = await waitForFinding(supervisor, 'closeWait', 3)
  t.match(finding, { severity: 'problem', count: 3, pid, endpoint: upstream.endpoint })
})

t.test(
  'a process that outlives the worker that started it is found, and the one of another supervisor is not',
  async (t) => {
    const upstream = await tcpUpstream(t)
    const { supervisor, tell } = await start(t)
    const other = await start(t)
    const worker = await tell('orphan', 1, upstream.port)
    t.same(inShort((await audit(supervisor)).report), [], 'it has its parent')
    process.kill(worker, 'SIGKILL')
    const { finding, code } = await waitForFinding(supervisor, 'orphan')
    t.equal(code, 6)
    t.match(finding, { severity: 'problem', endpoint: upstream.endpoint, count: 1 })
    t.match(finding.todo, new RegExp(`kill ${finding.pid}`))
    t.same(inShort((await audit(other.supervisor)).report), [])
    const orphan = processIdentity(finding.pid ?? 0)
    t.ok(signalProcess(orphan, 'SIGKILL'))
    await eventually(
      () => isAlive(orphan),
      (alive) => !alive,
      { what: 'the orphan to be gone' },
    )
    t.same(inShort((await audit(supervisor)).report), [])
  },
)

t.test('a connection that workers were handed is found, and shared with nobody', async (t) => {
  const upstream = await tcpUpstream(t)
  const supervisor = startSupervisor(t, {
    program: ['test/process/fixtures/primary-with-sockets.js'],
    env: {
      FAULT: 'hands',
      ASKS: '1',
      SCRIPT: 'test/process/fixtures/worker-with-sockets.js',
      UPSTREAM_PORT: String(upstream.port),
    },
  })
  const { workers } = await supervisor.waitUntilReady()
  const { code, report } = await audit(supervisor)
  t.equal(code, 6)
  matchEach(
    t,
    report.findings,
    workers.map(({ pid }) => ({ kind: 'passedConnection', pid, endpoint: upstream.endpoint, count: 1 })),
  )
})

t.test('the record of a supervisor that was killed is a note', async (t) => {
  const { supervisor } = await start(t)
  const gone = spawn(process.execPath, ['--version'], { stdio: 'ignore' })
  await once(gone, 'exit')
  const record = { pid: gone.pid, startTime: 1, name: 'old', state: 'running', goneBy: null, workers: [] }
  writeFileSync(join(supervisor.home, 'old.json'), JSON.stringify(record))
  const { code, report } = await audit(supervisor)
  t.equal(code, 0)
  matchEach(t, report.findings, [{ kind: 'staleRecord', severity: 'note', pid: gone.pid }])
})

t.test(
  'the count of a port is that of lsof',
  { skip: existsSync('/usr/bin/lsof') ? false : 'no lsof' },
  async (t) => {
    const upstream = await tcpUpstream(t)
    const { supervisor, tell, port } = await start(t, '--workers', '2')
    await tell('raw', 3, upstream.port)
    const { workers } = await supervisor.status()
    const pids = [supervisor.pid, ...workers.map(({ pid }) => pid)].join(',')
    for (const each of [upstream.port, port]) {
      const lsof = spawn('lsof', ['-nP', '-a', '-p', pids, '-i', `:${each}`], {
        stdio: ['ignore', 'pipe', 'ignore'],
      })
      let lines = 0
      for await (const _line of createInterface({ input: lsof.stdout })) lines++
      const { code, stdout } = await supervisor.cli('audit', '--port', String(each), '--count')
      t.equal(code, 0)
      t.equal(stdout, `${lines - 1}\n`)
    }
    const ofTree = await supervisor.cli('audit', '--port', String(port), '--count', '--json')
    t.same(JSON.parse(ofTree.stdout), { port, count: 1 })
  },
)

t.test('a worker whose loop stands still delays no audit, and has no finding for it', async (t) => {
  const supervisor = startSupervisor(t, {
    args: ['test/process/fixtures/blocks-the-loop.js', '--name', 'blocked'],
    env: { PORT: '0' },
  })
  const [, port] = await supervisor.waitForLine(/listening (\d+)/)
  await supervisor.waitUntilReady()
  await (await fetch(`http://127.0.0.1:${port}/block?ms=2000`)).text()
  const begun = performance.now()
  const { report } = await audit(supervisor)
  t.ok(performance.now() - begun < 2_500)
  t.match(report.processes[1], { role: 'worker', hasOrigins: false })
  t.same(inShort(report), [])
})

t.test('any tree of processes is audited by its pid, without asking anybody', async (t) => {
  const upstream = await tcpUpstream(t)
  const { supervisor, tell } = await start(t)
  const worker = await tell('raw', 5, upstream.port)
  const tree = await runBare(['audit', '--pid', String(supervisor.pid), '--json'])
  t.equal(tree.code, 0)
  const report = JSON.parse(tree.stdout) as AuditReport
  t.equal(report.name, null)
  t.same(
    report.processes.map(({ pid, role }) => [pid, role]),
    [
      [supervisor.pid, 'process'],
      [worker, 'process'],
    ],
  )
  t.match(report.endpoints, [{ endpoint: upstream.endpoint, live: 5, unknown: 5 }])
  const count = await runBare(['audit', '--pid', String(worker), '--port', String(upstream.port), '--count'])
  t.equal(count.stdout, '5\n')
})

t.test('a watch looks again and shows what has changed, and the history fills', async (t) => {
  const upstream = await tcpUpstream(t)
  const { supervisor, tell } = await start(t, '--audit-interval', '1s')
  await tell('raw', 1, upstream.port)
  const watch = spawn(process.execPath, [CLI, 'audit', '--watch', '--json'], {
    env: cleanEnv({ FORKSAFE_HOME: supervisor.home }),
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const exited = once(watch, 'exit')
  const seen: number[] = []
  let points = 0
  for await (const line of createInterface({ input: watch.stdout })) {
    const { endpoints } = JSON.parse(line) as AuditReport
    const [row] = endpoints
    seen.push(row?.live ?? 0)
    points = row?.trend?.points.length ?? 0
    if (seen.length === 1) await tell('raw', 1, upstream.port)
    else if (points > 0) break
    if (seen.length > 10) break
  }
  watch.kill('SIGTERM')
  await exited
  t.match([seen[0], seen.at(-1)], [1, 2])
  t.ok(points > 0, 'the primary has counted meanwhile')
})

const runBare = async (args: readonly string[]): Promise<{ code: number; stdout: string }> => {
  const child = spawn(process.execPath, [CLI, ...args], {
    env: cleanEnv({ NO_COLOR: '1' }),
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let stdout = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text
  })
  const [code] = await once(child, 'close')
  return { code: Number(code), stdout }
}
