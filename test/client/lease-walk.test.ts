// An exclusive client's decisions under whatever comes, in whatever order: seeded random walks over the events of its
// session. Each event in each state is answered without an illegal move, and what must hold of the lease holds after each.

import t from 'tap'
import type { Entry } from '../../src/client/outbox.js'
import type { SessionEffect, TimerName } from '../../src/client/session-effects.js'
import { Random } from '../campaign/random.js'
import { FAILED, FakeSession, LOST } from './fake-session.js'

const WALKS = 20_000
const STEPS = 60
const FIRST_SEED = 1

/** The world around one session: it says only what can be said at the moment, but says it whenever it likes. */
class Walk {
  readonly client: FakeSession
  readonly story: string[] = []
  readonly #random: Random
  #socket: number | null = null
  #isClaimed = false
  #isGranted = false
  /** After `leaseLost` nothing is written. */
  #isLost = false
  #link: number | null = null
  #links = 0
  #isOrphaned = false
  /** Whether it has asked to leave, and waits for the answer. */
  #isAsked = false
  #isForking = false
  #foreign: Entry<string>[] = []

  constructor(seed: number) {
    this.#random = new Random(seed)
    this.client = new FakeSession({
      exclusive: true,
      onUnconfirmed: this.#random.pick(['reject', 'resend'] as const),
      supersededCodes: [4001],
    })
  }

  step(): void {
    const possible = this.#possible()
    const [name, act] = this.#random.pick(possible)
    this.story.push(`${this.client.session.state}: ${name}`)
    act()
  }

  /** To the end: closed, with nothing left. */
  finish(): void {
    this.story.push(`${this.client.session.state}: finish`)
    this.#do({ type: 'close', code: 1000, drainTimeout: 100, closeTimeout: 100 })
    this.#do({ type: 'terminate' })
    if (this.#socket !== null) this.#gone(LOST)
    const { state, outbox } = this.client.session
    this.#demand(state === 'closed', `it is ${state} after its end`)
    this.#demand(outbox.pending === 0, `${outbox.pending} messages are pending after its end`)
    this.#demand(!this.#isClaimed, 'it stands in line after its end')
    this.#demand(this.client.timers.size === 0, `timers are left: ${[...this.client.timers.keys()]}`)
  }

  #possible(): [string, () => void][] {
    const { session, timers } = this.client
    const can: [string, () => void][] = [
      ['want', () => this.#do({ type: 'want', isExplicit: this.#random.chance(0.5) })],
      ['unwant', () => this.#do({ type: 'unwant' })],
      ['suspend', () => this.#fork(true)],
      ['resume', () => this.#fork(false)],
      ['writeTurn', () => this.#do({ type: 'writeTurn' })],
    ]
    if (session.isTaking && session.refusal === null) can.push(['send', () => this.#send(false)])
    if (this.#random.chance(0.05)) can.push(...this.#endings())
    const pending = session.outbox.all()
    if (pending.length > 0) can.push(['withdraw', () => this.#withdraw(this.#random.pick(pending))])
    for (const name of timers.keys()) can.push([`timer ${name}`, () => this.#ring(name)])
    if (this.#socket !== null) can.push(...this.#aboutSocket(this.#socket))
    if (this.#isClaimed) can.push(...this.#aboutLease())
    return can
  }

  #endings(): [string, () => void][] {
    return [
      ['close', () => this.#do({ type: 'close', code: 1000, drainTimeout: 100, closeTimeout: 100 })],
      ['terminate', () => this.#do({ type: 'terminate' })],
      ['orphaned', () => this.#orphan()],
    ]
  }

  #aboutSocket(epoch: number): [string, () => void][] {
    return [
      ['opened', () => this.#do({ type: 'opened', epoch })],
      ['ending', () => this.#do({ type: 'ending', epoch })],
      ['lost', () => this.#gone(LOST)],
      ['failed', () => this.#gone(FAILED)],
      ['refused', () => this.#gone({ ...FAILED, isFatal: true })],
      ['superseded', () => this.#gone({ ...LOST, code: 4001 })],
      ['pong', () => this.client.of('ping').length > 0 && this.#pong()],
      [
        'flushed',
        () => this.#do({ type: 'flushed', epoch, sequence: this.client.session.outbox.lastWritten }),
      ],
      ['turnOver', () => this.#do({ type: 'turnOver', epoch })],
    ]
  }

  #aboutLease(): [string, () => void][] {
    if (this.#isGranted)
      return [
        ['revoked', () => this.#do({ type: 'revoked', why: 'others', timeout: 100 })],
        ['leaseLost', () => this.#lose()],
        ['a message of a standby', () => this.#send(true)],
        ...this.#maybeAgain(),
        ...this.#maybeLeave(),
      ]
    if (this.#isOrphaned) return []
    const link = this.#link
    if (link === null)
      return [
        ['granted', () => this.#grant()],
        ['linkOpened', () => this.#openLink()],
      ]
    return [
      ['linkClosed', () => this.#closeLink(link)],
      ['linkAnswered', () => this.#answer(link)],
    ]
  }

  /** The primary answers again, while the socket of a lease that was lost is still on its way out. */
  #maybeAgain(): [string, () => void][] {
    return this.#isLost ? [['granted again', () => this.#grant()]] : []
  }

  #maybeLeave(): [string, () => void][] {
    if (!this.#isAsked) return []
    const answer = (): void => {
      this.#isAsked = false
      this.#do({ type: 'mayLeave' })
    }
    return [['mayLeave', answer]]
  }

  #fork(isBegun: boolean): void {
    this.#isForking = isBegun
    this.#do(isBegun ? { type: 'suspend', timeout: 100 } : { type: 'resume' })
  }

  #send(isForeign: boolean): void {
    const { session } = this.client
    const entry = session.outbox.accept({
      ...{ bytes: 10, level: 'received', isLevelFixed: false, expiresAt: null, cargo: 'a', isForeign },
    })
    if (isForeign) this.#foreign.push(entry)
    this.#do({ type: 'accepted' })
  }

  #withdraw(entry: Entry<string>): void {
    this.#do({ type: 'withdraw', entry, code: 'FORKSAFE_ERR_CLIENT_ABORTED', why: 'aborted' })
  }

  #ring(name: TimerName): void {
    this.client.now = Math.max(this.client.now, this.client.timers.get(name) ?? 0)
    this.client.timers.delete(name)
    this.#do({ type: 'timer', name })
  }

  #gone(end: typeof LOST): void {
    const epoch = this.#socket ?? 0
    this.#socket = null
    this.#do({ type: 'gone', epoch, end })
  }

  #pong(): void {
    const payload = this.client.of('ping').at(-1)?.payload ?? ''
    this.#do({ type: 'pong', epoch: this.#socket ?? 0, payload })
  }

  #grant(): void {
    this.#isGranted = true
    this.#isLost = false
    this.#do({ type: 'granted' })
  }

  #lose(): void {
    this.#isLost = true
    this.#do({ type: 'leaseLost', why: 'overdue' })
  }

  #openLink(): void {
    this.#link = ++this.#links
    this.#do({ type: 'linkOpened', link: this.#link })
  }

  #closeLink(link: number): void {
    this.#link = null
    this.#do({ type: 'linkClosed', link })
  }

  #answer(link: number): void {
    const { outbox } = this.client.session
    const [first = 0] = outbox.all().map(({ sequence }) => sequence)
    const last = first + this.#random.int(0, 3)
    if (this.#random.chance(0.2))
      this.#do({ type: 'linkAnswered', link, answer: { t: 'bye', lastBatch: 0, unsent: [first] } })
    else if (this.#random.chance(0.3)) {
      const code = this.#random.pick([
        'FORKSAFE_ERR_CLIENT_NOT_SENT',
        'FORKSAFE_ERR_CLIENT_FATE_UNKNOWN',
      ] as const)
      this.#do({ type: 'linkAnswered', link, answer: { t: 'answer', rejected: [[first, code, 'so']] } })
    } else
      this.#do({
        type: 'linkAnswered',
        link,
        answer: { t: 'answer', confirmed: [[first, last, 'received', 1]] },
      })
  }

  #orphan(): void {
    this.#isOrphaned = true
    if (this.#link !== null) this.#closeLink(this.#link)
    this.#do({ type: 'orphaned' })
  }

  #do(event: Parameters<FakeSession['do']>[0]): void {
    for (const effect of this.client.do(event)) this.#carryOut(effect)
    this.#look()
  }

  #carryOut(effect: SessionEffect<string>): void {
    switch (effect.type) {
      case 'dial':
        this.#demand(this.#isGranted && !this.#isLost, 'it dials without the lease')
        this.#demand(this.#socket === null, 'it dials while it has a socket')
        this.#socket = effect.epoch
        return
      case 'write':
      case 'ping':
        this.#demand(effect.epoch === this.#socket, `${effect.type} to a socket that is gone`)
        this.#demand(!this.#isLost, `${effect.type} after the lease was lost`)
        return
      case 'claim':
        this.#demand(!this.#isClaimed, 'it stands in line twice')
        this.#isClaimed = true
        return
      case 'letGo':
        this.#demand(this.#socket === null, 'it lets go while it has a socket')
        this.#isGranted = false
        this.#isLost = false
        if (!effect.isFinal) return
        // As the shell does: the link ends with the claim.
        this.#isClaimed = false
        if (this.#link !== null) this.#closeLink(this.#link)
        return
      case 'askToLeave':
        this.#demand(this.#isGranted, 'it asks to leave without the lease')
        this.#isAsked = true
        return
      case 'forward':
        this.#demand(effect.link === this.#link, 'it hands over to a link that is closed')
        return
      case 'closeLinks':
        for (const entry of this.#foreign.splice(0)) this.client.session.outbox.forget(entry)
    }
  }

  #look(): void {
    const { state, outbox } = this.client.session
    const { accepted, confirmed, rejected, pending } = outbox
    this.#demand(accepted === confirmed + rejected + pending, 'the books do not add up')
    const isAway = state === 'idle' || state === 'closed'
    if (this.#socket === null) this.#demandProgress()
    this.#demand(!isAway || this.#socket !== null || !this.#isClaimed, `it is ${state} and stands in line`)
  }

  /** Without a socket nothing can be waited for that never comes. */
  #demandProgress(): void {
    const { session, timers } = this.client
    const { state } = session
    if (state === 'waiting')
      this.#demand(this.#isGranted ? timers.has('retry') : this.#isClaimed, 'it waits for nothing')
    this.#demand(state !== 'connecting' && state !== 'open' && state !== 'closing', `it is ${state}`)
    this.#demand(state !== 'suspended' || this.#isForking, 'it is suspended, and nobody will wake it')
    if (state === 'draining') this.#demand(timers.has('drain'), 'it drains without an end')
    if (state === 'draining') this.#demand(session.outbox.pending > 0, 'it drains for nothing')
  }

  #demand(holds: boolean, what: string): void {
    if (!holds) throw new Error(what)
  }
}

t.test('no event in any state breaks what must hold of the lease', async (t) => {
  for (let seed = FIRST_SEED; seed < FIRST_SEED + WALKS; seed++) {
    const walk = new Walk(seed)
    try {
      for (let count = 0; count < STEPS; count++) walk.step()
      walk.finish()
    } catch (error) {
      t.fail(`seed ${seed}: ${(error as Error).message}`, { story: walk.story })
      return
    }
  }
  t.pass(`${WALKS} walks`)
})
