import t from 'tap'
import { MAX_WAITING, Sink } from '../../src/observe/sink.js'
import type { WriteFailure, Writer } from '../../src/observe/writer.js'

/** A writer that takes what it is told to, when it is told to. */
class SteeredWriter implements Writer {
  readonly name = 'steered'
  readonly joins: number
  written = ''
  #open: { bytes: Buffer; done: (failure: WriteFailure | null) => void } | null = null

  constructor(joins = 64 * 1024) {
    this.joins = joins
  }

  write(bytes: Buffer, done: (failure: WriteFailure | null) => void): void {
    if (this.#open !== null) throw new Error('two writes at once')
    this.#open = { bytes, done }
  }

  async close(): Promise<void> {}

  get isWriting(): boolean {
    return this.#open !== null
  }

  take(): void {
    const { bytes, done } = this.#ended()
    this.written += bytes
    done(null)
  }

  fail(message: string, { written = 0, isFinal = false } = {}): void {
    const { bytes, done } = this.#ended()
    this.written += bytes.subarray(0, written)
    done({ error: new Error(message), written, isFinal })
  }

  takeAll(): void {
    while (this.isWriting) this.take()
  }

  #ended() {
    const open = this.#open
    if (open === null) throw new Error('nothing is being written')
    this.#open = null
    return open
  }
}

const setUp = (joins?: number) => {
  const writer = new SteeredWriter(joins)
  const failures: string[] = []
  const due: (() => void)[] = []
  const sink = new Sink({
    writer,
    lossNotice: (count, reason) => `<${count} ${reason}>\n`,
    onFailing: (reason, isFinal) => failures.push(`${reason} ${isFinal}`),
    later: (retry) => due.push(retry),
  })
  return { writer, sink, failures, retry: () => due.shift()?.() }
}

t.test('lines are joined as far as the writer likes, and keep their order', async (t) => {
  const { writer, sink } = setUp(8)
  for (const line of ['a\n', 'bb\n', 'cccc\n', 'dddddddddd\n', 'e\n']) sink.write(line)
  const pieces: string[] = []
  while (writer.isWriting) {
    const before = writer.written.length
    writer.take()
    pieces.push(writer.written.slice(before))
  }
  t.same(pieces, ['a\n', 'bb\ncccc\n', 'dddddddddd\n', 'e\n'])
})

t.test(
  'a disk that is full and gets room again costs what did not fit, at the place where it is missing',
  async (t) => {
    const { writer, sink, failures, retry } = setUp(0)
    sink.write('first\n')
    writer.fail('ENOSPC', { written: 3 })
    const line = `${'x'.repeat(1023)}\n`
    for (let i = 0; i < 6_000; i++) sink.write(line)
    t.equal(writer.isWriting, false, 'it is not tried before its time')
    for (let round = 0; round < 3; round++) {
      retry()
      writer.fail('ENOSPC')
    }
    t.same(failures, ['ENOSPC false'], 'an outage is told once')
    retry()
    writer.takeAll()
    const lines = writer.written.split('\n')
    t.equal(lines[0], 'first', 'the line that was cut goes on where it was cut')
    t.equal(lines.filter((text) => text.startsWith('x')).length + sink.dropped, 6_000)
    t.ok(sink.dropped > 900)
    t.equal(lines.at(-2), `<${sink.dropped} ENOSPC>`)
    sink.write('after\n')
    writer.fail('EIO')
    t.same(failures, ['ENOSPC false', 'EIO false'], 'a new outage is news')
  },
)

t.test('memory is bounded, and nothing more is kept for a reader that is gone', async (t) => {
  const { writer, sink, failures } = setUp()
  const line = `${'x'.repeat(99)}\n`
  for (let i = 0; i < 60_000; i++) sink.write(line)
  t.ok(60_000 - sink.dropped <= MAX_WAITING / 100 + 1, `${60_000 - sink.dropped} lines are kept`)
  writer.fail('EPIPE', { isFinal: true })
  t.equal(sink.dropped, 60_000)
  sink.write(line)
  t.equal(sink.dropped, 60_001)
  t.equal(writer.isWriting, false)
  t.same(failures, ['EPIPE true'])
})

t.test('the end waits for what moves and not for what does not', async (t) => {
  const { writer, sink } = setUp()
  sink.write('a\n')
  const ended = sink.end(60_000)
  writer.take()
  await ended
  sink.write('b\n')
  await sink.end(1)
  t.equal(writer.written, 'a\n')
})
