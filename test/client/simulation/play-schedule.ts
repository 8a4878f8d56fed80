// Plays one schedule: the real guarded client in a world of virtual time, with peers and a network that do what the plan
// says, and judges that see everything and believe only that.

import type { GuardedClientOptions } from '../../../src/client/client-options.js'
import type { Environment, Timer } from '../../../src/client/environment.js'
import type { GuardedClient } from '../../../src/client/guarded-client.js'
import { registerResource, resourcesNewestFirst } from '../../../src/shared/resources.js'
import { Random, seedOfRound } from '../../campaign/random.js'
import { FakeLink, type LinkObserver } from './fake-link.js'
import { FakePeer, type ServerMemory } from './fake-peer.js'
import { BooksJudge } from './judge-books.js'
import { ConnectionJudge } from './judge-connections.js'
import { MessageJudge } from './judge-messages.js'
import { ReadingJudge } from './judge-reading.js'
import type { PeerStep, Plan, Step } from './plan.js'
import { Records } from './records.js'
import { drawTemperament, HEALTHY, type Temperament } from './temperament.js'
import { acknowledgementOf, shown, User, wallOf } from './user.js'
import { Verdicts, type Violation } from './verdicts.js'
import { VirtualLoop } from './virtual-loop.js'

/** The class that is judged: that of src/, of dist/, or one with a bug in it. */
export type ClientClass = new (
  name: string,
  options: GuardedClientOptions,
  environment: Environment,
) => GuardedClient

export interface Played {
  violations: Violation[]
  /** Empty unless it was asked for. */
  story: string[]
}

export const playSchedule = async (Client: ClientClass, plan: Plan, isTold = false): Promise<Played> => {
  const schedule = new Schedule(Client, plan, isTold)
  await schedule.play()
  return schedule
}

class Schedule implements Played {
  readonly #plan: Plan
  readonly #client: GuardedClient
  readonly #user: User
  readonly #loop = new VirtualLoop(() => this.#turnIsOver())
  readonly #records = new Records()
  readonly #verdicts: Verdicts
  readonly #connections: ConnectionJudge
  readonly #messages: MessageJudge
  readonly #reading: ReadingJudge
  readonly #books: BooksJudge
  readonly #timers = new Set<object>()
  readonly #peers = new Map<FakeLink, FakePeer>()
  readonly #random: Random
  #isFinale = false

  constructor(Client: ClientClass, plan: Plan, isTold: boolean) {
    this.#plan = plan
    this.#random = new Random(plan.seed ^ 0x5eed)
    const { options } = plan
    this.#verdicts = new Verdicts(() => this.#loop.now, isTold)
    const judged = [options, this.#records, this.#loop, this.#verdicts] as const
    this.#connections = new ConnectionJudge(...judged)
    this.#messages = new MessageJudge(...judged)
    this.#books = new BooksJudge(...judged)
    this.#reading = new ReadingJudge(this.#records, this.#verdicts)
    this.#verdicts.tell(() => `options: ${JSON.stringify(options)}`)
    this.#client = new Client(NAME, { ...options, url: 'ws://peer/', ackOf }, this.#environment())
    const [resource] = resourcesNewestFirst()
    if (resource === undefined) throw new Error('the client is not registered')
    this.#user = new User({
      ...{ client: this.#client, resource, options, loop: this.#loop, records: this.#records },
      verdicts: this.#verdicts,
      observer: {
        messageSettled: (message) => this.#messages.settled(message),
        connectSettled: (code) => this.#connections.connectSettled(code),
        consumed: (consumer, data, epoch) => this.#reading.consumed(consumer, data, epoch),
      },
    })
    this.#listen()
  }

  get violations(): Violation[] {
    return this.#verdicts.violations
  }

  get story(): string[] {
    return this.#verdicts.story
  }

  async play(): Promise<void> {
    try {
      for (const step of this.#plan.steps) {
        await this.#do(step)
        this.#timeHasPassed()
        if (this.violations.length > 0) return
      }
      await this.#finish()
    } catch (error) {
      this.#verdicts.violation('the client does not fail by itself', String((error as Error).stack))
    } finally {
      if (this.violations.length > 0) this.#unregister()
    }
  }

  async #do(step: Step): Promise<void> {
    if (step.do === 'acts') {
      // A process that sleeps does nothing; what it would have done it does when it wakes.
      while (this.#loop.isAsleep) await this.#loop.runFor(50)
      return this.#loop.turn(() => {
        for (const act of step.acts) this.#user.act(act)
      })
    }
    this.#verdicts.tell(() => JSON.stringify(step))
    if (step.do === 'time') return this.#loop.runFor(step.ms)
    if (step.do === 'sleep') return this.#loop.sleep(step.ms)
    this.#doOfPeer(step)
  }

  #doOfPeer(step: PeerStep): void {
    const { link } = this.#records
    const peer = link && this.#peers.get(link)
    if (peer === undefined) return
    if (step.do === 'peer falls silent') peer.fallSilent()
    else if (step.do === 'peer stalls') peer.stall()
    else if (step.do === 'peer reads on') peer.readOn()
    else if (step.do === 'peer resets') peer.reset()
    else if (step.do === 'peer ends') peer.end()
    else if (step.do === 'peer says') peer.say(step.count, step.isBig)
    else if (step.do === 'peer closes') peer.close(step.code)
    else if (step.do === 'peer forges a pong') peer.forgePong(step.isReplay)
  }

  /** All that is open comes to its end: with a good peer, with none, or at once. */
  async #finish(): Promise<void> {
    this.#isFinale = true
    const { finale, options } = this.#plan
    this.#verdicts.tell(() => `finale: ${finale}`)
    while (this.#loop.isAsleep) await this.#loop.runFor(50)
    if (finale !== 'closed at once') {
      await this.#loop.turn(() => this.#user.act({ do: 'resume' }))
      if (finale === 'silent') for (const peer of this.#peers.values()) peer.fallSilent()
      const { connectTimeout, heartbeatInterval, heartbeatTimeout, receiptTimeout, backoff } = options
      const round = connectTimeout + heartbeatInterval + heartbeatTimeout + receiptTimeout + backoff.max
      for (let part = 0; part < 4; part++) {
        await this.#loop.runFor(round / 2)
        this.#timeHasPassed()
        if (this.violations.length > 0) return
      }
      if (finale === 'healthy') this.#allIsWell()
    }
    await this.#loop.turn(() => this.#user.act({ do: 'close' }))
    await this.#loop.runFor(options.drainTimeout + options.closeTimeout + 100)
    this.#timeHasPassed()
    this.#books.isOver()
    this.#reading.isOver()
  }

  /** With a good peer, and time, nothing is left to wait for. */
  #allIsWell(): void {
    const { unsettled, isWanted, isRefused, isClosing, isSuspended, isPerhapsGivenBack, link } = this.#records
    const { state } = this.#client
    // A consumer that never reads keeps us from reading answers: each message has its bound, and the next waits for it.
    if (isClosing || isSuspended || link?.isPaused || this.#hasJustChanged) return
    if (link === undefined || link.temperament === HEALTHY)
      for (const { number } of unsettled)
        this.#verdicts.violation('every promise settles in time', `m${number}, with a good peer`)
    if (isWanted && !isPerhapsGivenBack && !isRefused && state !== 'open')
      this.#verdicts.violation(
        'every promise settles in time',
        `it is ${state}, though wanted, with a good peer`,
      )
  }

  /** A peer of before the finale may have held on until now: then the good one has only begun. */
  get #hasJustChanged(): boolean {
    const last = this.#records.links.at(-1)
    const { connectTimeout, receiptTimeout, backoff } = this.#plan.options
    const since = last?.goneAt ?? (last?.temperament === HEALTHY ? (last.openedAt ?? this.#loop.now) : 0)
    return last !== undefined && this.#loop.now - since <= connectTimeout + receiptTimeout + backoff.max
  }

  #turnIsOver(): void {
    const { state } = this.#client
    this.#books.turnIsOver(this.#client.stats(), state, this.#timers.size)
    this.#connections.turnIsOver(state)
    this.#messages.turnIsOver()
    this.#reading.turnIsOver()
  }

  #timeHasPassed(): void {
    this.#books.timeHasPassed()
    this.#messages.timeHasPassed()
  }

  /** What broke a promise may never be closed: the registry of the process must not keep it. */
  #unregister(): void {
    for (const resource of resourcesNewestFirst()) if (resource.name === NAME) registerResource(resource)()
  }

  // --- The world of the client ----------------------------------------------------------------------------------

  #environment(): Environment {
    const loop = this.#loop
    const nonces = new Random(this.#plan.seed ^ 0x0ace)
    return {
      now: () => loop.now,
      wallNow: () => wallOf(loop.now),
      random: () => this.#random.next(),
      nonce: () => Math.floor(nonces.next() * 2 ** 48).toString(16),
      setTimer: (ms, callback) => this.#setTimer(ms, callback),
      afterTurn: (callback) => loop.afterTurn(callback),
      afterReading: (callback) => loop.afterReading(callback),
      connect: (epoch, _name, options, events) => {
        const link = new FakeLink(
          epoch,
          this.#temperament(epoch),
          loop,
          options,
          events,
          this.#observer,
          (link) => {
            const peer = new FakePeer(link, loop, this.#memory, seedOfRound(this.#plan.seed + 1, epoch))
            this.#peers.set(link, peer)
            return peer
          },
        )
        return link
      },
    }
  }

  #temperament(epoch: number): Temperament {
    const { seed, server, finale } = this.#plan
    if (this.#isFinale && finale === 'healthy') return HEALTHY
    const drawn = drawTemperament(new Random(seedOfRound(seed, epoch)), server)
    return this.#isFinale ? { ...drawn, upgrade: { kind: 'never answers' } } : drawn
  }

  #setTimer(ms: number, callback: () => void): Timer {
    const timer = {}
    this.#timers.add(timer)
    const real = this.#loop.setTimer(ms, () => {
      this.#timers.delete(timer)
      callback()
    })
    return {
      clear: () => {
        this.#timers.delete(timer)
        real.clear()
      },
    }
  }

  readonly #memory: ServerMemory = {
    payloads: [],
    acknowledgement: ({ data }) => {
      const message = this.#records.byData.get(data)
      return message === undefined ? null : acknowledgementOf(message.number)
    },
    anyAcknowledgement: () => {
      const { messages } = this.#records
      return messages.length === 0 ? null : acknowledgementOf(messages.length - 1)
    },
  }

  readonly #observer: LinkObserver = {
    dialled: (link) => {
      this.#records.links.push(link)
      this.#verdicts.tell(() => `${link.epoch}: dialled, ${JSON.stringify(link.temperament)}`)
      this.#connections.dialled(link)
    },
    given: (link, frame) => {
      this.#verdicts.tell(() => `${link.epoch}: → ${frame.kind} ${this.#nameOf(frame.data)}`)
      this.#messages.given(link, frame)
    },
    opened: (link) => this.#verdicts.tell(() => `${link.epoch}: open`),
    terminated: (link, why) => {
      this.#verdicts.tell(() => `${link.epoch}: destroyed by the client, ${why}`)
      this.#connections.terminated(link, why)
    },
    reads: (link) => this.#reading.reads(link, this.#client.state),
    delivers: (link, frame) => {
      this.#verdicts.tell(
        () => `${link.epoch}: ← ${frame.kind} ${frame.kind === 'data' ? shown(frame.data) : ''}`,
      )
      this.#messages.delivers(link, frame)
    },
    gone: (link, end) => {
      this.#verdicts.tell(() => `${link.epoch}: gone, ${JSON.stringify(end)}`)
      this.#connections.gone(link, end)
      this.#messages.gone(link)
    },
  }

  #nameOf(data: unknown): string {
    const message = this.#records.byData.get(data as string)
    return message === undefined ? String(data) : `m${message.number} of ${message.bytes} bytes`
  }

  #listen(): void {
    const client = this.#client
    client.on('opened', ({ epoch }) => this.#connections.opened(epoch))
    client.on('waiting', ({ delay }) => this.#connections.waits(delay))
    // Another listener may have asked for a connection before us.
    for (const event of ['refused', 'superseded'] as const)
      client.on(event, () => this.#connections.refused(client.state !== 'idle'))
    client.on('message', (data, { epoch }) => this.#reading.told(data, epoch))
    client.on('stateChanged', ({ from, to }) => this.#books.moved(from, to))
    client.on('receiptsDegraded', () => this.#books.degraded())
    client.on('receiptsRestored', () => {
      this.#records.isDegraded = false
    })
    for (const event of ALL_EVENTS)
      client.on(event, (...payload: unknown[]) => {
        if (event !== 'message') this.#verdicts.tell(() => `event ${event} ${JSON.stringify(payload)}`)
        this.#books.event(event)
      })
    for (const { event, act, times } of this.#plan.listeners) {
      let left = times
      client.on(event, () => {
        if (left-- > 0) this.#user.act(act)
      })
    }
  }
}

const NAME = 'simulated'

const ALL_EVENTS = [
  ...(['connecting', 'opened', 'message', 'lost', 'waiting', 'refused', 'superseded'] as const),
  ...(['receiptsDegraded', 'receiptsRestored', 'stateChanged', 'closed'] as const),
] as const

const ackOf: NonNullable<GuardedClientOptions['ackOf']> = (data) =>
  typeof data === 'string' && data.length < 20 && data.startsWith('ack ') ? data.slice(4) : undefined
