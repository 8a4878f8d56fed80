// A standby's messages, by the session that decides: handed to the holder, settled by its answers, and never lost between
// two holders.

import t from 'tap'
import type { HolderAnswer } from '../../src/client/link-messages.js'
import type { NewEntry } from '../../src/client/outbox.js'
import { FakeSession, LOST } from './fake-session.js'

class Standby extends FakeSession {
  link = 0

  constructor(onUnconfirmed: 'reject' | 'resend' = 'reject') {
    super({ exclusive: true, onUnconfirmed })
    this.do({ type: 'want', isExplicit: true })
  }

  override send(cargo: string, more: Partial<NewEntry<string>> = {}) {
    const entry = super.send(cargo, more)
    this.do({ type: 'writeTurn' })
    return entry
  }

  openLink(): void {
    this.do({ type: 'linkOpened', link: ++this.link })
  }

  closeLink(): void {
    this.do({ type: 'linkClosed', link: this.link })
  }

  answer(answer: HolderAnswer): void {
    this.do({ type: 'linkAnswered', link: this.link, answer })
  }

  /** What was handed over: `link: batch: messages`. */
  get handedOver(): string[] {
    return this.of('forward').map(
      ({ link, batch, entries }) => `${link}: ${batch}: ${entries.map(({ cargo }) => cargo).join(' ')}`,
    )
  }
}

t.test(
  'messages wait for a link, go over it in order, and are settled by what the holder says',
  async (t) => {
    const standby = new Standby()
    standby.send('a')
    standby.send('b')
    t.same(standby.handedOver, [])
    standby.openLink()
    standby.send('c')
    t.same(standby.handedOver, ['1: 1: a b', '1: 2: c'])
    standby.answer({ t: 'answer', confirmed: [[1, 2, 'received', 5]] })
    standby.answer({ t: 'answer', rejected: [[3, 'FORKSAFE_ERR_CLIENT_EXPIRED', 'late']] })
    t.same(standby.settled, ['a received', 'b received', 'c EXPIRED'])
    standby.answer({ t: 'answer', confirmed: [[1, 3, 'received', 5]] })
    t.equal(standby.settled.length, 3, 'nothing is settled twice')
    t.same(standby.of('dial'), [], 'a standby never dials')
  },
)

t.test('a range that names more than there is ends', async (t) => {
  const standby = new Standby()
  standby.openLink()
  standby.send('a')
  standby.answer({ t: 'answer', confirmed: [[0, Number.MAX_SAFE_INTEGER, 'received', 1]] })
  t.same(standby.settled, ['a received'])
})

t.test('what the holder did not read, or not write, is known to be unsent when the link ends', async (t) => {
  for (const [onUnconfirmed, settled, again] of [
    ['reject', ['b FATE_UNKNOWN'], '2: 1: a c'],
    ['resend', [], '2: 1: a b c'],
  ] as const) {
    const standby = new Standby(onUnconfirmed)
    standby.openLink()
    for (const cargo of ['a', 'b', 'c']) standby.send(cargo)
    standby.answer({ t: 'bye', lastBatch: 2, unsent: [1] })
    standby.send('d')
    t.equal(standby.handedOver.length, 3, 'nothing more goes over a link that is over')
    standby.closeLink()
    t.same(standby.settled, settled, onUnconfirmed)
    standby.openLink()
    t.equal(standby.handedOver.at(-1), `${again} d`)
  }
})

t.test('without a word of the holder the fate is unknown', async (t) => {
  const standby = new Standby('reject')
  standby.openLink()
  standby.send('a')
  standby.closeLink()
  standby.answer({ t: 'answer', confirmed: [[1, 1, 'received', 1]] })
  t.same(standby.settled, ['a FATE_UNKNOWN'])
})

t.test('when it holds the connection itself it writes what was handed over and not settled', async (t) => {
  const standby = new Standby('resend')
  standby.openLink()
  standby.send('a')
  standby.closeLink()
  standby.do({ type: 'granted' })
  standby.do({ type: 'opened', epoch: 1 })
  t.same(standby.written, ['1: a'])
})

t.test('as much is handed over as the window holds, and the rest when there is room', async (t) => {
  const standby = new Standby()
  standby.openLink()
  const KIB = 1_024
  for (let count = 0; count < 3; count++) standby.send(`m${count}`, { bytes: 600 * KIB })
  t.same(standby.handedOver, ['1: 1: m0', '1: 2: m1'])
  standby.answer({ t: 'answer', confirmed: [[1, 1, 'received', 1]] })
  t.equal(standby.handedOver.at(-1), '1: 3: m2')
})

t.test('what is too large for a link, or too old, is rejected, and the rest goes on', async (t) => {
  const standby = new Standby()
  standby.send('large', { bytes: 8 * 1024 * 1024 + 1 })
  standby.send('old', { expiresAt: 5 })
  standby.send('right')
  standby.now = 10
  standby.openLink()
  t.same(standby.settled.toSorted(), ['large NOT_SENT', 'old EXPIRED'])
  t.same(standby.handedOver, ['1: 1: right'])
})

t.test('a holder that closes, or is refused, does not reject what is a standby’s', async (t) => {
  for (const end of ['close', 'refusal'] as const) {
    const holder = new FakeSession({ exclusive: true })
    holder.do({ type: 'want', isExplicit: true })
    holder.do({ type: 'granted' })
    holder.do({ type: 'opened', epoch: 1 })
    holder.lose()
    holder.send('own')
    holder.send('foreign', { isForeign: true })
    if (end === 'close') holder.do({ type: 'close', code: 1000, drainTimeout: 100, closeTimeout: 100 })
    else {
      holder.ring('retry')
      holder.lose({ ...LOST, isFatal: true })
    }
    t.same(holder.settled, ['own NOT_SENT'], end)
    t.equal(holder.session.outbox.pending, 0)
    t.equal(holder.of('closeLinks').length, 1, 'it is given back')
  }
})
