import { PassThrough } from 'node:stream'
import t from 'tap'
import { LogBuffer } from '../../src/observe/log-buffer.js'
import { Output } from '../../src/observe/output.js'

const streams = () => {
  const make = (): NodeJS.WriteStream => new PassThrough() as unknown as NodeJS.WriteStream
  return { stdout: make(), stderr: make() }
}
const workerLine = (text: string) =>
  ({ at: 0, source: 'worker', stream: 'stdout', slot: 1, pid: 22, generation: 3, text }) as const

t.test('a line names its worker, and json keeps it one line', async (t) => {
  const { stdout, stderr } = streams()
  const buffer = new LogBuffer()
  const output = new Output({ format: 'pretty', buffer, stdout, stderr })
  output.write(workerLine('hello'))
  t.match(String(stdout.read()), /^\d\d:\d\d:\d\d \[1:22\] hello\n$/)
  output.format = 'json'
  output.write(workerLine('a\nb'))
  t.match(JSON.parse(String(stdout.read())), { slot: 1, pid: 22, generation: 3, text: 'a\nb' })
  t.equal(buffer.last(10).length, 2)
})

t.test('a reader that has stopped costs lines, not memory; the loss is counted and said', async (t) => {
  const { stdout, stderr } = streams()
  const output = new Output({ format: 'pretty', buffer: new LogBuffer(), stdout, stderr })
  for (let i = 0; i < 3_000; i++) output.write(workerLine('x'.repeat(1_000)))
  t.ok(stdout.writableLength < 1.2 * 1024 * 1024, `${stdout.writableLength} bytes wait`)
  t.ok(output.dropped > 1_000)
  const dropped = output.dropped
  while (stdout.read() !== null);
  await new Promise((resolve) => setImmediate(resolve))
  output.write(workerLine('after'))
  t.match(String(stdout.read()), new RegExp(`${dropped} lines were dropped`))
})

t.test('a reader that is gone ends the output and nothing else', async (t) => {
  const { stdout, stderr } = streams()
  const output = new Output({ format: 'pretty', buffer: new LogBuffer(), stdout, stderr })
  stdout.destroy(Object.assign(new Error('write EPIPE'), { code: 'EPIPE' }))
  await new Promise((resolve) => setImmediate(resolve))
  output.write(workerLine('nobody reads this'))
  t.equal(output.dropped, 1)
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
