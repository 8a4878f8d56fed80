import { type ChildProcess, spawn } from 'node:child_process'
import { chmodSync } from 'node:fs'
import { createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { type ClientTiming, ControlClient } from '../../src/control/client.js'
import { serveControl } from '../../src/control/server.js'
import type { LogLine } from '../../src/observe/log-buffer.js'
import { isAlive, processIdentity } from '../../src/shared/process-identity.js'
import type { Progress } from '../../src/shared/progress.js'
import { cleanEnv, uninstrumentChildren } from '../support/clean-children.js'
import { withDeadline } from '../support/deadline.js'
import { FakeSupervisor, logLine, MANY_SOCKETS, OK, SAMPLE_AUDIT, SAMPLE_STATUS } from './fake-supervisor.js'
import { socketFolder } from './socket-folder.js'

uninstrumentChildren()

const serve = async (t: Test) => {
  const socketPath = join(socketFolder(t), 'api.sock')
  const supervisor = new FakeSupervisor()
  const identity = { name: 'api', pid: process.pid, version: '9.9.9' }
  const server = await serveControl({ socketPath, supervisor, identity, timing: { alive: 10 } })
  t.teardown(() => server.close())
  return { supervisor, server, client: new ControlClient({ name: 'api', socketPath }) }
}

/** Somebody who listens on the socket and is no supervisor. */
const impostor = async (
  t: Test,
  onConnection: (socket: Socket) => void,
  timing: Partial<ClientTiming> = {},
) => {
  const socketPath = join(socketFolder(t), 'api.sock')
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    onConnection(socket)
  })
  await new Promise<void>((resolve) => server.listen(socketPath, resolve))
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return new ControlClient({ name: 'api', socketPath }, timing)
}

const head = 'HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n'
const answering = (text: string) => (socket: Socket) => void socket.once('data', () => socket.end(text))

t.test('status, events and results arrive as they were sent', async (t) => {
  const { supervisor, client } = await serve(t)
  t.same(await client.status(), SAMPLE_STATUS)
  const event: Progress = { event: 'workerStarting', slot: 0, pid: 5, generation: 2 }
  supervisor.operate = async (tell) => {
    tell(event)
    return { ...OK, exitCode: 5, ok: false, failures: [{ slot: 0, pid: 5, reason: 'grüße\n\x1b' }] }
  }
  const seen: Progress[] = []
  const result = await client.reload((progress) => void seen.push(progress))
  t.same(seen, [event])
  t.match(result, { ok: false, exitCode: 5, failures: [{ reason: 'grüße\n\x1b' }] })
  t.notOk('event' in result)
})

t.test('an audit arrives as it was made; single sockets where they are asked for', async (t) => {
  const { supervisor, client } = await serve(t)
  const socket = {
    fd: 20,
    inode: 7,
    kind: 'tcp' as const,
    state: 'established' as const,
    direction: 'outgoing' as const,
    local: '127.0.0.1:40000',
    remote: '127.0.0.1:80',
    path: null,
    endpoint: 'grüße:80',
    client: null,
    at: null,
    inRequest: null,
    webSocket: false,
    ageMs: null,
  }
  const processes = [0, 250, 1].map((count, at) => ({
    pid: 10 + at,
    ppid: 9,
    role: 'worker' as const,
    slot: at,
    generation: 1,
    command: 'node',
    problem: null,
    hasOrigins: true,
    groups: [],
    sockets: Array.from({ length: count }, (_, fd) => ({ ...socket, fd })),
  }))
  supervisor.report = { ...SAMPLE_AUDIT, processes }
  t.same(await client.audit({ sockets: true }), supervisor.report)
  const bare = processes.map((process) => ({ ...process, sockets: [] }))
  t.same(await client.audit(), { ...supervisor.report, processes: bare })
  supervisor.report = SAMPLE_AUDIT
  t.same(await client.audit({ sockets: true }), SAMPLE_AUDIT)
  t.equal(await client.countPort(8080), 3)
  t.equal(supervisor.asked.at(-1), 'count 8080')
})

t.test('of more sockets than a reader takes the first 20,000 are listed', async (t) => {
  const { supervisor, client } = await serve(t)
  const [process] = MANY_SOCKETS.processes
  supervisor.report = MANY_SOCKETS
  const { processes } = await client.audit({ sockets: true })
  t.equal(process?.sockets.length, 30_000)
  t.equal(processes[0]?.sockets.length, 20_000)
})

t.test('logs end with the last line, or when told to', async (t) => {
  const { supervisor, client } = await serve(t)
  for (const text of ['one', 'two']) supervisor.logs.push(logLine(text))
  const lines: LogLine[] = []
  await client.logs((line) => void lines.push(line), { lines: 1 })
  t.same(lines, [logLine('two')])
  const stopping = new AbortController()
  const following = client.logs(
    (line) => {
      lines.push(line)
      if (line.text === 'three') stopping.abort()
      else supervisor.logs.push(logLine('three'))
    },
    { lines: 1, follow: true, signal: stopping.signal },
  )
  await withDeadline(following, { what: 'logs to end' })
  t.same(
    lines.map(({ text }) => text),
    ['two', 'two', 'three'],
  )
  await withDeadline(
    client.logs(() => {}, { follow: true, signal: AbortSignal.abort() }),
    { what: 'logs not to begin' },
  )
})

t.test('a supervisor that is not there is found out at once', async (t) => {
  const client = new ControlClient({ name: 'api', socketPath: join(socketFolder(t), 'api.sock') })
  const expected = {
    code: 'FORKSAFE_ERR_NOT_RUNNING',
    message: /^no supervisor named api is running \(nobody listens on/,
  }
  await t.rejects(client.status(), expected)
  await t.rejects(client.reload(), expected)
  await t.rejects(client.stop(), expected)
  await t.rejects(
    client.logs(() => {}),
    expected,
  )
})

t.test('one that accepts and says nothing is given up', async (t) => {
  const client = await impostor(t, () => {}, { firstByte: 50 })
  const expected = {
    code: 'FORKSAFE_ERR_CONTROL_TIMEOUT',
    message: /^supervisor api did not answer within 50ms on/,
  }
  await t.rejects(client.status(), expected)
  await t.rejects(client.stop({ now: true }), expected)
})

t.test('one that falls silent in the middle is given up', async (t) => {
  const client = await impostor(t, (socket) => void socket.once('data', () => socket.write(head)), {
    idle: 50,
  })
  const expected = { code: 'FORKSAFE_ERR_CONTROL_TIMEOUT', message: /did not answer within 50ms/ }
  await t.rejects(client.reload(), expected)
  await t.rejects(
    client.logs(() => {}, { follow: true }),
    expected,
  )
})

t.test('an operation may take longer than any silence', async (t) => {
  const { supervisor, client } = await serve(t)
  const patient = new ControlClient(client.target, { idle: 200 })
  supervisor.operate = () => new Promise((resolve) => setTimeout(resolve, 400, OK))
  t.same(await patient.reload(), OK)
})

t.test('a client that was stopped itself reads what came meanwhile before it gives up', async (t) => {
  const { supervisor, client } = await serve(t)
  const stopped = new ControlClient(client.target, { idle: 100 })
  supervisor.operate = async (tell) => {
    tell({ event: 'reloading', generation: 2, slots: [] })
    return new Promise((resolve) => setTimeout(resolve, 200, OK))
  }
  const blockFor = (ms: number): void => {
    for (const end = performance.now() + ms; performance.now() < end; );
  }
  t.same(await stopped.reload(() => blockFor(150)), OK)
})

t.test('one that ends without a result is told apart from success', async (t) => {
  const expected = {
    code: 'FORKSAFE_ERR_NOT_RUNNING',
    message: /ended before it had answered|ended the connection/,
  }
  await t.rejects((await impostor(t, answering(`${head}{"event":"alive"}\n`))).reload(), expected)
  await t.rejects(
    (await impostor(t, answering(head))).logs(() => {}),
    expected,
  )
  await t.rejects((await impostor(t, (socket) => socket.destroy())).status(), expected)
  const cut = 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{"ev'
  await t.rejects((await impostor(t, answering(cut))).reload(), expected)
})

t.test('answers that are none are refused', async (t) => {
  const code = 'FORKSAFE_ERR_CONTROL_REFUSED'
  for (const body of ['', 'hello', '{}', '[]', 'null', '{"name":1}', '{"name":"api","workers":[{}]}']) {
    await t.rejects((await impostor(t, answering(head + body))).status(), { code }, `status ${body}`)
  }
  for (const line of ['hello', '{}', 'null', '[1]', '{"event":"result"}', '{"event":"result","ok":true}']) {
    await t.rejects((await impostor(t, answering(`${head}${line}\n`))).reload(), { code }, `reload ${line}`)
  }
})

t.test('a refusal tells why, and both versions when they differ', async (t) => {
  const client = await impostor(
    t,
    answering(
      'HTTP/1.1 404 Not Found\r\nforksafe-version: 7.0.0\r\nconnection: close\r\n\r\n{"code":"X","message":"there is no such path"}',
    ),
  )
  await t.rejects(client.status(), {
    code: 'FORKSAFE_ERR_CONTROL_REFUSED',
    message: /^supervisor api refused: there is no such path \(it is 7\.0\.0, this command \d+\.\d+\.\d+\)$/,
  })
})

t.test('lines that are split anywhere are put together', async (t) => {
  const text = `${JSON.stringify({ event: 'line', ...logLine('日本 🚀') })}\n{"event":"end"}\n`
  const client = await impostor(t, (socket) => {
    socket.once('data', async () => {
      socket.setNoDelay(true)
      socket.write(head)
      for (const byte of Buffer.from(text)) {
        await new Promise<void>((resolve) => socket.write(Buffer.from([byte]), () => setImmediate(resolve)))
      }
      socket.end()
    })
  })
  const lines: string[] = []
  await client.logs((line) => void lines.push(line.text))
  t.same(lines, ['日本 🚀'])
})

t.test(
  'a socket that this user may not open is named',
  { skip: process.getuid?.() !== 0 && 'needs root' },
  async (t) => {
    const { client } = await serve(t)
    chmodSync(join(client.target.socketPath, '..'), 0o755)
    const program = `
    process.setgid(65534); process.setuid(65534)
    const { ControlClient } = await import(process.argv[1])
    await new ControlClient({ name: 'api', socketPath: process.argv[2] }).status().catch((e) => console.log(e.code, e.message))`
    const args = [
      '--input-type=module',
      '-e',
      program,
      join(process.cwd(), 'dist/control/client.js'),
      client.target.socketPath,
    ]
    const text = await outputOf(spawn(process.execPath, args, { env: cleanEnv(), timeout: 10_000 }))
    t.match(
      text,
      /^FORKSAFE_ERR_CONTROL_REFUSED supervisor api: no permission to open .* \(EACCES\); run as the user who started it$/m,
    )
  },
)

t.test('stop waits until the process is gone', async (t) => {
  const socketPath = join(socketFolder(t), 'api.sock')
  const child = spawn(process.execPath, ['test/control/fixtures/fake-supervisor.js', socketPath, 'linger'], {
    env: cleanEnv(),
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  t.teardown(() => child.kill('SIGKILL'))
  await lineOf(child, 'listening')
  const client = new ControlClient({ name: 'api', socketPath }, { gone: 100 })
  const stopping = client.stop()
  await t.rejects(stopping, {
    code: 'FORKSAFE_ERR_CONTROL_TIMEOUT',
    message: `supervisor api stopped its workers, but its process ${child.pid} is still there after 100ms`,
  })
  const patient = new ControlClient({ name: 'api', socketPath })
  const stopped = patient.stop({}, () => child.stdin?.end()).then(() => isGone(child))
  t.ok(await withDeadline(stopped, { what: 'stop to settle' }))
})

/** A zombie, of which only the exit code is left, is gone. */
const isGone = ({ pid = 0 }: ChildProcess): boolean => !isAlive(processIdentity(pid))

const outputOf = (child: ChildProcess): Promise<string> =>
  new Promise((resolve) => {
    let text = ''
    child.stdout?.on('data', (piece) => {
      text += piece
    })
    child.stderr?.on('data', (piece) => {
      text += piece
    })
    child.on('close', () => resolve(text))
  })

const lineOf = (child: ChildProcess, line: string): Promise<void> =>
  withDeadline(
    new Promise((resolve) => {
      child.stdout?.on('data', (piece) => String(piece).includes(line) && resolve())
    }),
    { what: `the line ${line}` },
  )
