// The forwarder's decisions under random schedules: a client that dials, is refused, cut, moved and hands back, an upstream
// that closes by what it is sent, a disk that does not take what is parked, and time that passes. Whatever happens, every
// message is settled once, in order, with a fate that is true.

import fc from 'fast-check'
import t from 'tap'
import { ForwarderCore } from '../../src/relay/forwarder-core.js'
import type { Entry, ForwarderEffect, ForwarderEvent } from '../../src/relay/forwarder-effects.js'
import type { SpooledMessage } from '../../src/relay/messages.js'

const MAX_AGE = 1_000
const LIMITS = { window: { count: 6, bytes: 600 }, maxAge: MAX_AGE, maxAttempts: 3, rest: 60 }

/** What the upstream does when it reads it: closes with this code; or, of 1, our client refuses to send it. */
const KINDS = [0, 0, 0, 0, 1008, 1011, 1] as const
const UNSENDABLE = 1

interface Kind {
  code: (typeof KINDS)[number]
  /** ms from being accepted; null: never expires. */
  ttl: number | null
}

type Step =
  | { do: 'append'; kinds: readonly Kind[] }
  | { do: 'open' | 'refuse' | 'cut' | 'suspend' | 'rest' | 'take' | 'stray' }
  | { do: 'read'; count: number; isProved: boolean }
  | { do: 'park'; isTaken: boolean }
  | { do: 'pass'; ms: number }

const kind = fc.record({
  code: fc.constantFrom(...KINDS),
  ttl: fc.option(fc.integer({ min: 1, max: 300 }), { freq: 3 }),
})
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ do: fc.constant('append' as const), kinds: fc.array(kind, { minLength: 1, maxLength: 8 }) }),
  fc.record({
    do: fc.constantFrom('open', 'open', 'refuse', 'cut', 'suspend', 'rest', 'take', 'take', 'stray'),
  }),
  fc.record({
    do: fc.constant('read' as const),
    count: fc.integer({ min: 1, max: 8 }),
    isProved: fc.boolean(),
  }),
  fc.record({ do: fc.constant('park' as const), isTaken: fc.boolean() }),
  fc.record({ do: fc.constant('pass' as const), ms: fc.integer({ min: 1, max: 150 }) }),
)

interface Known {
  message: SpooledMessage
  kind: Kind
  settled: string | null
  arrivals: number
}

class World {
  readonly known: Known[] = []
  readonly firstArrivals: number[] = []
  now = 1_000_000
  readonly #core = new ForwarderCore(LIMITS)
  #taken = 0
  #settled = 0
  #take: { count: number } | null = null
  #client: 'idle' | 'dialling' | 'open' | 'moved' = 'idle'
  #outbox: Entry[] = []
  #parking: Entry[] = []
  #isResting = false
  #isWatched = false

  get isDone(): boolean {
    return this.#settled === this.known.length
  }

  step(step: Step): void {
    switch (step.do) {
      case 'append':
        return this.#append(step.kinds)
      case 'open':
        return this.#open()
      case 'refuse':
        if (this.#client !== 'dialling') return
        this.#client = 'idle'
        return this.#say({ type: 'refused', why: '401' })
      case 'cut':
        return this.#end(1006, true)
      case 'stray':
        return this.#end(1009, false)
      case 'suspend':
        if (this.#client !== 'open') return
        this.#client = 'moved'
        return this.#say({ type: 'lost', code: 1000, reason: '', isByPeer: false })
      case 'rest':
        if (!this.#isResting) return
        this.#isResting = false
        return this.#say({ type: 'rested' })
      case 'take':
        return this.#answerTake()
      case 'read':
        return this.#read(step.count, step.isProved)
      case 'park':
        return this.#park(step.isTaken)
      case 'pass':
        this.now += step.ms
        if (this.#isWatched) this.#say({ type: 'tick' })
    }
  }

  /** Everything works again, and no time passes: nothing is saved by growing too old. */
  heal(): void {
    for (let round = 0; !this.isDone && round < 1_000; round++)
      for (const each of ['take', 'rest', 'open'] as const) {
        this.step({ do: each })
        this.step({ do: 'park', isTaken: true })
        this.step({ do: 'read', count: 100, isProved: true })
        this.step({ do: 'pass', ms: 0 })
      }
  }

  #append(kinds: readonly Kind[]): void {
    const wasEmpty = this.#taken === this.known.length
    for (const kind of kinds) {
      const seq = this.known.length + 1
      const expiresAt = kind.ttl === null ? null : this.now + kind.ttl
      const body = Buffer.alloc(50)
      const message = { id: `m${seq}`, seq, key: null, isBinary: true, acceptedAt: this.now, expiresAt, body }
      this.known.push({ message, kind, settled: null, arrivals: 0 })
    }
    if (wasEmpty) this.#say({ type: 'more' })
  }

  #answerTake(): void {
    if (this.#take === null) return
    const messages = this.known
      .slice(this.#taken, this.#taken + this.#take.count)
      .map(({ message }) => message)
    this.#taken += messages.length
    this.#take = null
    this.#say({ type: 'taken', messages })
  }

  #open(): void {
    if (this.#client !== 'dialling' && this.#client !== 'moved') return
    this.#client = 'open'
    this.#say({ type: 'opened' })
  }

  /** The upstream reads, and says so, or ends the connection before it does. */
  #read(count: number, isProved: boolean): void {
    if (this.#client !== 'open') return
    const unsendable = this.#outbox.filter((entry) => this.#of(entry).kind.code === UNSENDABLE)
    this.#outbox = this.#outbox.filter((entry) => !unsendable.includes(entry))
    if (unsendable.length > 0)
      this.#say({
        type: 'failed',
        failures: unsendable.map((entry) => ({ entry, wasWritten: false, unsendable: 'too large' })),
      })
    const read: Entry[] = []
    let code = 0
    for (const entry of this.#outbox.slice(0, count)) {
      code = this.#of(entry).kind.code
      if (code === UNSENDABLE) break
      if (code !== 0) break
      read.push(entry)
      this.#arrive(entry)
    }
    if (isProved && read.length > 0) {
      this.#outbox = this.#outbox.filter((entry) => !read.includes(entry))
      const receipt = { level: 'received', epoch: 1, rtt: 1 } as const
      this.#say({ type: 'delivered', receipts: read.map((entry) => ({ entry, receipt })) })
    }
    if (code > UNSENDABLE) this.#end(code, true)
  }

  #arrive(entry: Entry): void {
    const known = this.#of(entry)
    if (known.arrivals++ === 0) this.firstArrivals.push(entry.message.seq)
  }

  /** All that it had comes back; what was at its end had not been written. */
  #end(code: number, isByPeer: boolean): void {
    if (this.#client !== 'open') return
    this.#client = 'idle'
    const back = this.#outbox
    this.#outbox = []
    this.#say({ type: 'lost', code, reason: '', isByPeer })
    this.#say({ type: 'refused', why: `closed with ${code}` })
    const failures = back.map((entry, at) => ({ entry, wasWritten: at < 4, unsendable: null }))
    if (failures.length > 0) this.#say({ type: 'failed', failures })
  }

  #park(isTaken: boolean): void {
    const entry = this.#parking.shift()
    if (entry !== undefined) this.#say({ type: isTaken ? 'parked' : 'parkFailed', entry })
  }

  #say(event: ForwarderEvent): void {
    for (const effect of this.#core.handle(event, this.now)) this.#carryOut(effect)
  }

  #carryOut(effect: ForwarderEffect): void {
    switch (effect.type) {
      case 'take':
        if (this.#take !== null) throw new Error('it takes twice at once')
        this.#take = effect
        return
      case 'send':
        if (this.#client !== 'open') throw new Error(`it sends while the client is ${this.#client}`)
        this.#outbox.push(...effect.entries)
        return
      case 'settle':
        for (const entry of effect.entries) this.#settle(entry)
        return
      case 'park':
        this.#parking.push(effect.entry)
        return
      case 'connect':
        if (this.#client !== 'idle') throw new Error(`it dials while the client is ${this.#client}`)
        this.#client = 'dialling'
        return
      case 'rest':
        this.#isResting = true
        return
      case 'watch':
        this.#isWatched = effect.isOn
    }
  }

  #settle(entry: Entry): void {
    const known = this.#of(entry)
    const { seq, acceptedAt, expiresAt } = known.message
    const { settlement } = entry
    if (known.settled !== null) throw new Error(`${seq} is settled twice`)
    if (seq !== ++this.#settled) throw new Error(`${seq} is settled as number ${this.#settled}`)
    known.settled = settlement?.state ?? 'nothing'
    if (known.settled === 'delivered' && known.arrivals === 0) throw new Error(`${seq} has not arrived`)
    if (known.settled === 'expired' && (expiresAt ?? Number.POSITIVE_INFINITY) > this.now)
      throw new Error(`${seq} has not expired`)
    const mayBeParked = known.kind.code !== 0 || acceptedAt + MAX_AGE <= this.now
    if (known.settled === 'parked' && !mayBeParked) throw new Error(`${seq} is parked for nothing`)
  }

  #of(entry: Entry): Known {
    const known = this.known[entry.message.seq - 1]
    if (known === undefined) throw new Error('a message from nowhere')
    return known
  }
}

t.test('whatever happens, each message is settled once, in order, and truly', async (t) => {
  fc.assert(
    fc.property(fc.array(step, { minLength: 20, maxLength: 150 }), (steps) => {
      const world = new World()
      for (const each of steps) world.step(each)
      world.heal()
      const left = world.known.filter(({ settled }) => settled === null).map(({ message }) => message.id)
      if (left.length > 0) throw new Error(`never settled: ${left.join(' ')}`)
      const sorted = world.firstArrivals.toSorted((one, other) => one - other)
      if (sorted.join() !== world.firstArrivals.join())
        throw new Error(`arrived out of order: ${world.firstArrivals.join(' ')}`)
    }),
    { numRuns: 2_000 },
  )
  t.pass()
})
