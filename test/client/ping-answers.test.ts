import t from 'tap'
import { PingAnswers } from '../../src/client/ping-answers.js'

const setUp = () => {
  const written: string[] = []
  const waiting: (() => void)[] = []
  const answers = new PingAnswers((payload, done) => {
    written.push(String(payload))
    waiting.push(done)
  })
  return {
    written,
    ping: (count: number, from = 0) => {
      for (let n = 0; n < count; n++) answers.pinged(Buffer.from(String(from + n)))
    },
    /** The kernel takes so many pongs. */
    take: (count: number) => {
      for (const done of waiting.splice(0, count)) done()
    },
  }
}

t.test('each ping is answered, as long as the kernel takes the pongs', async (t) => {
  const { written, ping, take } = setUp()
  for (let n = 0; n < 100; n++) {
    ping(1, n)
    take(1)
  }
  t.equal(written.length, 100)
  t.equal(written.at(-1), '99')
})

t.test('of those that pile up only the latest is answered', async (t) => {
  const { written, ping, take } = setUp()
  ping(1_000)
  t.equal(written.length, 32)
  take(1)
  t.same(written.slice(32), ['999'])
  take(32)
  ping(2, 1_000)
  t.same(written.slice(32), ['999', '1000', '1001'])
})
