// The client's decisions, in any order of events, with sockets that exist only as numbers.

import fc from 'fast-check'
import t from 'tap'
import {
  ClientSession,
  type ConnectionEnd,
  type SessionEffect,
  type SessionEvent,
} from '../../src/client/client-session.js'
import { CLIENT_LIFECYCLE, type ClientState } from '../../src/client/client-states.js'
import { transition } from '../../src/shared/state-machine.js'

const OPTIONS = {
  backoff: { min: 250, max: 30_000 },
  stableAfter: 5_000,
  maxPending: { count: 100, bytes: 10_000 },
  random: () => 0.5,
}
const LOST: ConnectionEnd = {
  error: null,
  code: 1006,
  reason: '',
  isFatal: false,
  retryAfter: null,
  message: 'lost',
}
const FAILED: ConnectionEnd = { ...LOST, error: 'FORKSAFE_ERR_CLIENT_CONNECT_FAILED', message: 'refused' }

t.test('every pair of states: what the table holds is allowed, everything else throws', async (t) => {
  const states = Object.keys(CLIENT_LIFECYCLE) as ClientState[]
  for (const from of states) {
    for (const to of states) {
      const move = (): ClientState => transition('client', CLIENT_LIFECYCLE, from, to, 'because')
      if (CLIENT_LIFECYCLE[from].includes(to)) t.equal(move(), to)
      else t.throws(move, { code: 'FORKSAFE_ERR_ILLEGAL_TRANSITION' })
    }
  }
})

/** Sockets as the session sees them: dialled, perhaps told to go, gone. */
class Sockets {
  readonly session = new ClientSession(OPTIONS)
  readonly effects: SessionEffect[] = []
  /** Epochs whose socket is not gone. */
  readonly alive = new Set<number>()
  readonly opened = new Set<number>()
  readonly told = new Set<number>()
  readonly settled = new Map<number, string>()
  readonly timers = new Map<string, number>()

  do(event: SessionEvent): SessionEffect[] {
    const effects = this.session.handle(event)
    this.effects.push(...effects)
    for (const effect of effects) this.#see(effect)
    this.#check()
    return effects
  }

  #see(effect: SessionEffect): void {
    if (effect.type === 'dial') {
      if (this.alive.size > 0) throw new Error(`dialled ${effect.epoch} while ${[...this.alive]} is there`)
      if (!['connecting'].includes(this.session.state)) throw new Error(`dialled while ${this.session.state}`)
      this.alive.add(effect.epoch)
    }
    if (effect.type === 'closeSocket' || effect.type === 'terminateSocket') this.told.add(effect.epoch)
    if (effect.type === 'setTimer') this.timers.set(effect.name, effect.ms)
    if (effect.type === 'clearTimer') this.timers.delete(effect.name)
    if (effect.type === 'confirmed' || effect.type === 'rejected') {
      if (this.settled.has(effect.sequence)) throw new Error(`message ${effect.sequence} settled twice`)
      this.settled.set(effect.sequence, effect.type)
    }
    if (effect.type === 'write') {
      if (!this.opened.has(effect.epoch)) throw new Error(`wrote to ${effect.epoch}, which is not open`)
    }
  }

  #check(): void {
    const { accepted, confirmed, rejected, pending } = this.session.outbox
    if (accepted !== confirmed + rejected + pending)
      throw new Error(`${accepted} != ${confirmed} + ${rejected} + ${pending}`)
    if (this.alive.size > 1) throw new Error('two sockets')
    if (this.session.hasSocket !== this.alive.size > 0) throw new Error('lost track of a socket')
    if (this.session.state === 'waiting' && !this.timers.has('retry')) throw new Error('waits for nothing')
    if (this.session.state === 'closed' && (this.timers.size > 0 || pending > 0))
      throw new Error('closed, and not done')
  }

  open(): void {
    for (const epoch of this.alive) {
      this.opened.add(epoch)
      this.do({ type: 'opened', epoch })
    }
  }

  lose(end: ConnectionEnd = LOST): void {
    for (const epoch of [...this.alive]) {
      this.alive.delete(epoch)
      this.do({
        type: 'gone',
        epoch,
        end: this.opened.has(epoch) ? { ...end, error: null } : { ...FAILED, isFatal: end.isFatal },
      })
    }
  }

  fire(name: 'retry' | 'stable' | 'flush' | 'close'): void {
    if (this.timers.delete(name)) this.do({ type: 'timer', name })
  }
}

t.test(
  'a lost connection is dialled again by backoff, and the backoff starts anew only when it was stable',
  async (t) => {
    const sockets = new Sockets()
    sockets.do({ type: 'want' })
    const delays: number[] = []
    for (let i = 0; i < 4; i++) {
      sockets.open()
      sockets.lose()
      delays.push(sockets.timers.get('retry') ?? -1)
      sockets.fire('retry')
    }
    t.same(delays, [375, 500, 750, 1_250])
    sockets.open()
    sockets.fire('stable')
    sockets.lose()
    t.equal(sockets.timers.get('retry'), 375)
  },
)

t.test('what the upstream asked us to wait counts, up to the longest backoff', async (t) => {
  for (const [asked, delay] of [
    [7_000, 7_000],
    [3_600_000, 30_000],
  ] as const) {
    const sockets = new Sockets()
    sockets.do({ type: 'want' })
    sockets.alive.clear()
    sockets.do({ type: 'gone', epoch: 1, end: { ...FAILED, retryAfter: asked } })
    t.equal(sockets.timers.get('retry'), delay)
  }
})

t.test('a fatal end stops it, and what never was written is said to be so', async (t) => {
  const sockets = new Sockets()
  sockets.do({ type: 'send', bytes: 5 })
  sockets.lose({ ...LOST, isFatal: true })
  t.equal(sockets.session.state, 'idle')
  t.match(
    sockets.effects.filter(({ type }) => type === 'rejected' || type === 'connectFailed'),
    [{ code: 'FORKSAFE_ERR_CLIENT_CONNECT_REFUSED' }, { code: 'FORKSAFE_ERR_CLIENT_NOT_SENT' }],
  )
})

t.test(
  'what was written and not proved has an unknown fate when the connection ends; what waits is kept',
  async (t) => {
    const sockets = new Sockets()
    sockets.do({ type: 'want' })
    sockets.open()
    sockets.do({ type: 'send', bytes: 1 })
    sockets.do({ type: 'send', bytes: 1 })
    sockets.do({ type: 'written', epoch: 1, sequence: 1 })
    sockets.lose()
    sockets.do({ type: 'send', bytes: 1 })
    t.same(
      [...sockets.settled],
      [
        [1, 'confirmed'],
        [2, 'rejected'],
      ],
    )
    sockets.fire('retry')
    sockets.open()
    t.match(sockets.effects.at(-1), { type: 'write', epoch: 2, sequences: [3] })
  },
)

t.test('a late event of an old epoch changes nothing', async (t) => {
  const sockets = new Sockets()
  sockets.do({ type: 'want' })
  sockets.open()
  sockets.lose()
  sockets.fire('retry')
  t.same(sockets.do({ type: 'opened', epoch: 1 }), [])
  t.same(sockets.do({ type: 'gone', epoch: 1, end: LOST }), [])
  t.same(sockets.do({ type: 'written', epoch: 1, sequence: 1 }), [])
  t.equal(sockets.session.state, 'connecting')
})

t.test('an attempt that was given up must be gone before the next is dialled', async (t) => {
  const sockets = new Sockets()
  sockets.do({ type: 'want' })
  sockets.do({ type: 'unwant' })
  t.equal(sockets.session.state, 'idle')
  sockets.do({ type: 'want' })
  t.equal(sockets.effects.filter(({ type }) => type === 'dial').length, 1)
  sockets.lose()
  t.equal(sockets.effects.filter(({ type }) => type === 'dial').length, 2)
  t.equal(sockets.session.state, 'connecting')
})

t.test('a suspension gives back exactly what was there', async (t) => {
  for (const [before, after] of [
    ['idle', 'idle'],
    ['connecting', 'connecting'],
    ['open', 'connecting'],
    ['waiting', 'connecting'],
  ] as const) {
    const sockets = new Sockets()
    if (before !== 'idle') sockets.do({ type: 'want' })
    if (before === 'open' || before === 'waiting') sockets.open()
    if (before === 'waiting') sockets.lose()
    t.equal(sockets.session.state, before)
    sockets.do({ type: 'suspend', timeout: 100 })
    t.equal(sockets.session.state, 'suspended')
    sockets.lose()
    sockets.do({ type: 'resume' })
    t.equal(sockets.session.state, after, before)
  }
})

t.test(
  'in any order of events there is one socket at most, nothing is settled twice, and close ends it all',
  async (t) => {
    const step = fc.constantFrom(
      ...([
        'want',
        'unwant',
        'open',
        'lose',
        'refuse',
        'send',
        'write',
        'withdraw',
        'suspend',
        'resume',
      ] as const),
      ...(['retry', 'stable', 'flush', 'close'] as const),
      'shut' as const,
      'terminate' as const,
    )
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const sockets = new Sockets()
        const { session } = sockets
        for (const [n, what] of steps.entries()) {
          if (what === 'want' || what === 'unwant' || what === 'resume' || what === 'terminate')
            sockets.do({ type: what })
          if (what === 'open') sockets.open()
          if (what === 'lose') sockets.lose()
          if (what === 'refuse') sockets.lose({ ...LOST, isFatal: true })
          if (what === 'send' && session.isTaking && session.outbox.hasRoomFor(10))
            sockets.do({ type: 'send', bytes: 10 })
          if (what === 'write') {
            for (const sequence of session.outbox.writtenTo(session.epoch).slice(0, 1)) {
              sockets.do({ type: 'written', epoch: session.epoch, sequence })
            }
          }
          if (what === 'withdraw')
            sockets.do({ type: 'withdraw', sequence: n, code: 'FORKSAFE_ERR_CLIENT_ABORTED', why: '' })
          if (what === 'suspend') sockets.do({ type: 'suspend', timeout: 100 })
          if (what === 'retry' || what === 'stable' || what === 'flush' || what === 'close')
            sockets.fire(what)
          if (what === 'shut') sockets.do({ type: 'close', code: 1000, drainTimeout: 100, closeTimeout: 100 })
        }
        sockets.do({ type: 'close', code: 1000, drainTimeout: 100, closeTimeout: 100 })
        // A peer that answers nothing: only our own timers move things on, and a socket that was told to go goes.
        sockets.fire('flush')
        sockets.fire('close')
        if ([...sockets.alive].some((epoch) => !sockets.told.has(epoch)))
          throw new Error('a socket was not told to go')
        sockets.lose()
        if (session.state !== 'closed') throw new Error(`ended ${session.state}`)
        if (session.outbox.pending > 0 || sockets.settled.size !== session.outbox.accepted)
          throw new Error('not all settled')
      }),
      { numRuns: 20_000 },
    )
    t.pass('20,000 schedules')
  },
)
