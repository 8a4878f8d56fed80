import { once } from 'node:events'
import { existsSync, lstatSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { serveControl } from '../../src/control/server.js'
import type { ControlTiming } from '../../src/control/wire.js'
import type { OperationResult } from '../../src/shared/progress.js'
import { eventually, withDeadline } from '../support/deadline.js'
import { FakeSupervisor, logLine, OK } from './fake-supervisor.js'
import { get, openRaw, post, rawExchange } from './raw-exchange.js'
import { socketFolder } from './socket-folder.js'

const SHORT: ControlTiming = { alive: 10, headers: 300, request: 600 }

const serve = async (t: Test, timing: Partial<ControlTiming> = {}) => {
  const socketPath = join(socketFolder(t), 'api.sock')
  const supervisor = new FakeSupervisor()
  const identity = { name: 'api', pid: process.pid, version: '9.9.9' }
  const server = await serveControl({ socketPath, supervisor, identity, timing })
  t.teardown(() => server.close())
  return { socketPath, supervisor, server }
}

/** Still does what it is there for, after whatever was done to it. */
const stillAnswers = async (t: Test, socketPath: string): Promise<void> => {
  t.match(await rawExchange(socketPath, [get('/v1/status')]), /^HTTP\/1\.1 200 OK\r\n[\s\S]*"name":"api"/)
}

const bodyOf = (answer: string): string => answer.slice(answer.indexOf('\r\n\r\n') + 4)

/** The JSON lines in a chunked body. */
const linesOf = (answer: string): { event: string }[] =>
  bodyOf(answer)
    .split(/\r?\n/)
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line))

t.test('the socket is readable to its user alone, whatever the umask', async (t) => {
  const umask = process.umask(0)
  t.teardown(() => process.umask(umask))
  const { socketPath } = await serve(t)
  t.equal(lstatSync(socketPath).mode & 0o777, 0o600)
  t.equal(process.umask(), 0, 'the umask is as before')
})

t.test('status and version are answered as JSON with the version on them', async (t) => {
  const { socketPath } = await serve(t)
  const status = await rawExchange(socketPath, [get('/v1/status')])
  t.match(status, /forksafe-version: 9\.9\.9/)
  t.match(JSON.parse(bodyOf(status)), { name: 'api', state: 'running' })
  const version = JSON.parse(bodyOf(await rawExchange(socketPath, [get('/v1/version')])))
  t.match(version, { name: 'api', pid: process.pid, version: '9.9.9' })
  t.hasProp(version, 'startTime')
})

t.test('an operation streams its events, signs of life, and its result last', async (t) => {
  const { socketPath, supervisor } = await serve(t, SHORT)
  let finish: (result: OperationResult) => void = () => {}
  supervisor.operate = (tell) => {
    tell({ event: 'reloading', generation: 3, slots: [0] })
    return new Promise((resolve) => {
      finish = resolve
    })
  }
  const { socket, answer } = await openRaw(socketPath)
  socket.write(post('/v1/reload', ''))
  const seen: string[] = []
  for await (const [piece] of on(socket)) {
    seen.push(piece)
    if (seen.join('').includes('"alive"')) break
  }
  finish(OK)
  const lines = linesOf(await answer)
  t.same(lines[0], { event: 'reloading', generation: 3, slots: [0] })
  t.same(lines.at(-1), { event: 'result', ...OK })
  t.same(supervisor.asked, ['reload'])
})

t.test('stop takes now', async (t) => {
  const { socketPath, supervisor } = await serve(t)
  await rawExchange(socketPath, [post('/v1/stop', '{"now":true}')])
  await rawExchange(socketPath, [post('/v1/stop', '{"now":false}')])
  await rawExchange(socketPath, [post('/v1/stop', '')])
  t.same(supervisor.asked, ['stop now', 'stop', 'stop'])
})

t.test('an operation that throws ends with a result all the same', async (t) => {
  const { socketPath, supervisor } = await serve(t)
  supervisor.operate = async () => {
    throw new Error('boom')
  }
  const lines = linesOf(await rawExchange(socketPath, [post('/v1/reload', '')]))
  t.match(lines, [{ event: 'result', ok: false, exitCode: 1, message: 'unexpected: boom' }])
})

t.test('a status that fails is a 500 and nothing more', async (t) => {
  const { socketPath, supervisor } = await serve(t)
  supervisor.answer = async () => {
    throw new Error('no status')
  }
  t.match(await rawExchange(socketPath, [get('/v1/status')]), /^HTTP\/1\.1 500 [\s\S]*no status/)
})

t.test('requests that ask for what there is not are refused and do nothing', async (t) => {
  const { socketPath, supervisor } = await serve(t)
  const cases: [string, string, RegExp][] = [
    [get('/'), '404', /there is \/v1\/version, \/v1\/status/],
    [get('/v2/status'), '404', /there is no \/v2\/status in 9\.9\.9/],
    [get('/__proto__'), '404', /there is no \/__proto__/],
    [get('/constructor'), '404', /there is no/],
    [get('/v1/../../etc/passwd'), '404', /there is no/],
    [get('/v1/stop'), '405', /\/v1\/stop does not take GET; it takes POST/],
    [post('/v1/status', ''), '405', /it takes GET/],
    [post('/v1/stop', '{'), '400', /is not valid JSON/],
    [post('/v1/stop', '\0\0'), '400', /is not valid JSON/],
    [post('/v1/stop', '[]'), '400', /is not a JSON object/],
    [post('/v1/stop', 'null'), '400', /is not a JSON object/],
    [post('/v1/stop', '{"now":"yes"}'), '400', /now is not true or false/],
    [post('/v1/stop', '{"later":1}'), '400', /\\"later\\" is not a field of the body; there is now/],
    [post('/v1/stop', '{"__proto__":{"now":true}}'), '400', /__proto__/],
    [post('/v1/reload', '{"now":true}'), '400', /there are no fields here/],
    [post('/v1/stop', '['.repeat(60_000)), '400', /is not valid JSON/],
    [post('/v1/stop', ' '.repeat(65 * 1024)), '413', /larger than 65536 bytes/],
    [get('/v1/logs?lines=-1'), '400', /lines is not a whole number/],
    [get('/v1/logs?lines=1e9'), '400', /lines is not a whole number/],
    [get('/v1/logs?lines=10001'), '400', /lines is not a whole number/],
    [post('/v1/audit', ''), '405', /it takes GET/],
    [get('/v1/audit?sockets=maybe'), '400', /sockets is not true or false/],
    [get('/v1/audit/count'), '400', /port is not a whole number from 1 to 65535/],
    [get('/v1/audit/count?port=0'), '400', /port is not a whole number/],
    [get('/v1/audit/count?port=65536'), '400', /port is not a whole number/],
    [get('/v1/logs?follow=maybe'), '400', /follow is not true or false/],
  ]
  for (const [request, status, message] of cases) {
    const answer = await rawExchange(socketPath, [request])
    const title = request.slice(0, request.indexOf('\r\n'))
    t.match(answer, new RegExp(`^HTTP/1\\.1 ${status} [\\s\\S]*forksafe-version: 9\\.9\\.9`), title)
    t.match(JSON.parse(bodyOf(answer)), { code: 'FORKSAFE_ERR_CONTROL_REFUSED', message: String })
    t.match(bodyOf(answer), message, title)
  }
  t.same(supervisor.asked, [])
  t.match(await rawExchange(socketPath, [get('/v1/stop')]), /allow: POST/i)
  await stillAnswers(t, socketPath)
})

t.test('a body without an end is cut off at its bound', async (t) => {
  const { socketPath, supervisor } = await serve(t, SHORT)
  const head = 'POST /v1/stop HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n'
  const chunk = `${(16 * 1024).toString(16)}\r\n${' '.repeat(16 * 1024)}\r\n`
  t.match(await rawExchange(socketPath, [head, ...Array(20).fill(chunk)]), /^HTTP\/1\.1 413 /)
  t.same(supervisor.asked, [])
  await stillAnswers(t, socketPath)
})

t.test('what is no HTTP is refused', async (t) => {
  const { socketPath } = await serve(t)
  for (const garbage of [
    'hello\r\n\r\n',
    '\0\0\0\0\r\n',
    Buffer.from([0xff, 0xfe, 0x16, 0x03]),
    '{"cmd":"stop"}\n',
  ]) {
    t.match(await rawExchange(socketPath, [garbage]), /^HTTP\/1\.1 400 /)
  }
  const huge = await rawExchange(socketPath, [get('/v1/status', `x: ${'y'.repeat(20_000)}\r\n`)])
  t.match(huge, /^HTTP\/1\.1 431 /)
  await stillAnswers(t, socketPath)
})

t.test('half requests are given up', async (t) => {
  const { socketPath, supervisor } = await serve(t, SHORT)
  const halves = ['', 'GET /v1/sta', 'POST /v1/stop HTTP/1.1\r\nhost: x\r\ncontent-length: 12\r\n\r\n{"now"']
  const answers = await Promise.all(halves.map((half) => rawExchange(socketPath, half === '' ? [] : [half])))
  for (const answer of answers) t.match(answer, /^(HTTP\/1\.1 408 .*)?/)
  t.match(answers[2], /^HTTP\/1\.1 408 /)
  t.same(supervisor.asked, [])
  await stillAnswers(t, socketPath)
})

t.test('a request that comes byte by byte, and many in one packet, are all answered in order', async (t) => {
  const { socketPath, supervisor } = await serve(t)
  t.match(
    await rawExchange(socketPath, [...post('/v1/stop', '{"now":true}')]),
    /^HTTP\/1\.1 200 [\s\S]*"result"/,
  )
  const one = 'GET /v1/version HTTP/1.1\r\nhost: x\r\n\r\n'
  const answers = await rawExchange(socketPath, [one.repeat(200) + get('/v1/status')])
  t.equal(answers.match(/HTTP\/1\.1 200 OK/g)?.length, 201)
  t.ok(answers.lastIndexOf('"state"') > answers.lastIndexOf('"startTime"'))
  t.same(supervisor.asked, ['stop now', 'status'])
})

t.test('a client that goes away leaves its operation running', async (t) => {
  const { socketPath, supervisor } = await serve(t, SHORT)
  let isDone = false
  let finish = (): void => {}
  const begun = new Promise<void>((resolve) => {
    supervisor.operate = async (tell) => {
      resolve()
      await new Promise<void>((end) => {
        finish = end
      })
      for (let i = 0; i < 100; i++) tell({ event: 'reloading', generation: i, slots: [] })
      isDone = true
      return OK
    }
  })
  const { socket, answer } = await openRaw(socketPath)
  socket.write(post('/v1/reload', ''))
  await withDeadline(begun, { what: 'the reload to begin' })
  socket.destroy()
  await answer
  finish()
  await eventually(() => isDone, Boolean, { what: 'the reload to end' })
  await stillAnswers(t, socketPath)
})

t.test('logs are the last lines, and with follow those to come', async (t) => {
  const { socketPath, supervisor, server } = await serve(t, SHORT)
  for (const text of ['one', 'two', 'three']) supervisor.logs.push(logLine(text))
  const two = linesOf(await rawExchange(socketPath, [get('/v1/logs?lines=2')]))
  t.match(two, [{ event: 'line', text: 'two', slot: 0 }, { event: 'line', text: 'three' }, { event: 'end' }])
  const { socket, answer } = await openRaw(socketPath)
  socket.write(get('/v1/logs?lines=1&follow=true'))
  const [first] = await once(socket, 'data')
  t.match(first, /200 OK/)
  supervisor.logs.push(logLine('four'))
  await server.close()
  const texts = linesOf(await answer).filter(({ event }) => event !== 'alive')
  t.match(texts, [{ text: 'three' }, { text: 'four' }, { event: 'end' }])
})

t.test('a follower that does not read costs a bounded amount and is told what it missed', async (t) => {
  const { socketPath, supervisor } = await serve(t, SHORT)
  const { socket } = await openRaw(socketPath)
  socket.write(get('/v1/logs?lines=0&follow=true'))
  await once(socket, 'data')
  socket.pause()
  const before = process.memoryUsage().arrayBuffers + process.memoryUsage().heapUsed
  for (let i = 0; i < 50_000; i++) supervisor.logs.push(logLine('x'.repeat(2_000)))
  const grown = process.memoryUsage().arrayBuffers + process.memoryUsage().heapUsed - before
  t.ok(grown < 48 * 1024 * 1024, `grew by ${Math.round(grown / 1024 / 1024)} MiB for 100 MB of lines`)
  await stillAnswers(t, socketPath)
  let text = ''
  socket.on('data', (piece: string) => {
    text += piece
  })
  socket.resume()
  await eventually(
    () => {
      supervisor.logs.push(logLine('more'))
      return text.includes('"dropped"')
    },
    Boolean,
    { what: 'the count of dropped lines' },
  )
  socket.destroy()
})

t.test('close lets an operation send its result and removes the socket', async (t) => {
  const { socketPath, supervisor, server } = await serve(t)
  supervisor.operate = async () => {
    closing = server.close()
    return OK
  }
  let closing: Promise<void> | undefined
  const lines = linesOf(await rawExchange(socketPath, [post('/v1/stop', '')]))
  t.match(lines, [{ event: 'result', ok: true }])
  await closing
  t.notOk(existsSync(socketPath))
})

t.test('close does not wait for a client that does not end', async (t) => {
  const { socketPath, supervisor, server } = await serve(t)
  supervisor.operate = () => new Promise(() => {})
  const { socket, answer } = await openRaw(socketPath)
  socket.write(post('/v1/reload', ''))
  await once(socket, 'data')
  const idle = await openRaw(socketPath)
  await withDeadline(server.close(), { what: 'the server to close' })
  await withDeadline(Promise.all([answer, idle.answer]), { what: 'the connections to end' })
  t.notOk(existsSync(socketPath))
})

/** Pieces of text as they come. */
async function* on(socket: { on(event: 'data', listener: (text: string) => void): unknown }) {
  const pieces: string[] = []
  let wake = (): void => {}
  socket.on('data', (text) => {
    pieces.push(text)
    wake()
  })
  for (;;) {
    const piece = pieces.shift()
    if (piece === undefined) {
      await withDeadline(
        new Promise<void>((resolve) => {
          wake = resolve
        }),
        { what: 'more text' },
      )
    } else {
      yield [piece] as const
    }
  }
}

t.test('restart and scale are operations; scale is told how many, or how many more', async (t) => {
  const { socketPath, supervisor } = await serve(t)
  await rawExchange(socketPath, [post('/v1/restart', '{}')])
  await rawExchange(socketPath, [post('/v1/scale', '{"workers":4}')])
  await rawExchange(socketPath, [post('/v1/scale', '{"by":-1}')])
  t.match(linesOf(await rawExchange(socketPath, [get('/v1/started')])), [{ event: 'result', ok: true }])
  t.same(supervisor.asked, ['restart', 'scale 4', 'scale {"by":-1}', 'started'])
  const wrong = [
    '{}',
    '{"workers":0}',
    '{"workers":1025}',
    '{"workers":"4"}',
    '{"workers":1.5}',
    '{"by":2000}',
  ]
  for (const body of [...wrong, '{"workers":1,"by":1}', '{"by":null}', '{"other":1}', '[]']) {
    t.match(await rawExchange(socketPath, [post('/v1/scale', body)]), /^HTTP\/1\.1 400 /, body)
  }
  t.equal(supervisor.asked.length, 4)
})
