import { PassThrough } from 'node:stream'
import t from 'tap'
import { LogBuffer, type LogLine } from '../../src/observe/log-buffer.js'
import { openOutput } from '../../src/observe/open-output.js'
import type { Output } from '../../src/observe/output.js'
import { Redactor } from '../../src/observe/redactor.js'
import type { Settings } from '../../src/shared/settings.js'

const make = (): NodeJS.WriteStream => new PassThrough() as unknown as NodeJS.WriteStream

const SETTINGS = {
  name: 'api',
  logFormat: 'pretty',
  logLevel: 'info',
  logMaxSize: 4096,
  logMaxFiles: 2,
} as const

const open = async (settings: Partial<Settings> = {}) => {
  const around = {
    stdout: make(),
    stderr: make(),
    buffer: new LogBuffer(),
    redactor: new Redactor(),
    env: {},
  }
  const output: Output = await openOutput({ ...SETTINGS, ...settings }, around)
  return { ...around, output }
}

const workerLine = (text: string): LogLine => ({
  at: 0,
  source: 'worker',
  stream: 'stdout',
  slot: 1,
  pid: 22,
  generation: 3,
  text,
})

const ownLine = (level: NonNullable<LogLine['level']>, text: string): LogLine => ({
  at: 0,
  source: 'supervisor',
  stream: 'stdout',
  level,
  text,
})

const turn = () => new Promise((resolve) => setImmediate(resolve))

t.test('a line names its worker, and json keeps it one line', async (t) => {
  const pretty = await open()
  pretty.output.write(workerLine('hello'))
  t.match(String(pretty.stdout.read()), /^\d\d:\d\d:\d\d \[1:22 g3\] hello\n$/)
  t.equal(pretty.buffer.last(10).length, 1)
  const json = await open({ logFormat: 'json' })
  json.output.write(workerLine('a\nb'))
  t.match(JSON.parse(String(json.stdout.read())), { slot: 1, pid: 22, generation: 3, msg: 'a\nb' })
})

t.test('the level filters what the supervisor says and nothing of the workers', async (t) => {
  const { output, stdout, buffer } = await open({ logLevel: 'warn' })
  output.write(ownLine('info', 'unheard'))
  output.write(ownLine('warn', 'heard'))
  output.write(workerLine('always'))
  output.level = 'debug'
  output.write(ownLine('debug', 'details'))
  const texts = buffer.last(10).map(({ text }) => text)
  t.same(texts, ['heard', 'always', 'details'])
  await turn()
  t.match(String(stdout.read()), /\[supervisor\] warn: heard\n.*always\n.*\[supervisor\] debug: details\n/)
})

t.test(
  'a secret reaches neither the outputs nor the buffer, not even in the values of an event',
  async (t) => {
    const { output, stdout, buffer, redactor } = await open({ logFormat: 'json' })
    redactor.add(['hunter22'], 'told')
    output.write({ ...workerLine('my hunter22'), fields: { event: 'x', deep: [{ reason: 'hunter22!' }] } })
    output.write({
      ...ownLine('info', 'its hunter22'),
      fields: { event: 'x', deep: [{ reason: 'hunter22!' }] },
    })
    t.notMatch(`${stdout.read()}${JSON.stringify(buffer.last(10))}`, /hunter22/)
    t.match(buffer.last(1), [{ fields: { event: 'x', deep: [{ reason: '[redacted]!' }] } }])
  },
)

t.test('a reader that has stopped costs lines, not memory; the loss is counted and said', async (t) => {
  const { output, stdout } = await open()
  for (let i = 0; i < 6_000; i++) output.write(workerLine('x'.repeat(1_000)))
  t.ok(stdout.writableLength < 128 * 1024, `${stdout.writableLength} bytes wait`)
  t.ok(output.dropped > 1_000)
  const dropped = output.dropped
  let text = ''
  stdout.on('data', (piece) => {
    text += piece
  })
  while (!text.includes('dropped here')) await turn()
  output.write(workerLine('after'))
  while (!text.includes('after')) await turn()
  t.equal(text.split('\n').filter((line) => line.includes('xxx')).length, 6_000 - dropped)
  t.match(text, new RegExp(`warn: ${dropped} lines were dropped here: its reader was too slow\n.*after\n$`))
})

t.test('a reader that is gone ends its own output and nothing else', async (t) => {
  const { output, stdout, stderr, buffer } = await open()
  stdout.destroy(Object.assign(new Error('write EPIPE'), { code: 'EPIPE' }))
  await turn()
  output.write(workerLine('nobody reads this'))
  t.equal(output.dropped, 1)
  t.match(String(stderr.read()), /stdout cannot be written: write EPIPE; it is not written any more\n$/)
  output.write(workerLine('nor this'))
  t.equal(output.dropped, 2)
  t.equal(stderr.read(), null, 'it is said once')
  t.match(buffer.last(3), [
    { text: 'nobody reads this' },
    { fields: { event: 'logFailing', isFinal: true } },
    { text: 'nor this' },
  ])
})

t.test('the buffer keeps the newest lines within its bounds and tells its followers', async (t) => {
  const buffer = new LogBuffer({ lines: 3, characters: 12 })
  const followed: string[] = []
  const stop = buffer.follow(({ text }) => followed.push(text))
  for (const text of ['a', 'b', 'c', 'd']) buffer.push(workerLine(text))
  stop()
  buffer.push(workerLine('0123456789'))
  t.same(
    buffer.last(10).map(({ text }) => text),
    ['c', 'd', '0123456789'],
  )
  t.same(followed, ['a', 'b', 'c', 'd'])
  t.same(buffer.last(0), [])
})
