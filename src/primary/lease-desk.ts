// Where workers stand in line for what is exclusive: takes their messages to the arbiter (src/lease/arbiter.ts), carries
// out what it decides, and passes messages between standbys and holders. It decides nothing itself.

import { LeaseArbiter } from '../lease/arbiter.js'
import type { ArbiterEffect, ArbiterEvent } from '../lease/arbiter-events.js'
import { monotonicNow } from '../shared/clock.js'
import { MAX_CLAIMS, type PrimaryLeaseMessage, type WorkerLeaseMessage } from '../shared/lease-protocol.js'
import type { LeaseOwner } from '../shared/lease-provider.js'
import type { Progress } from '../shared/progress.js'
import { type ClaimRecord, LeaseClaims, leaseRefOf } from './lease-claims.js'
import { LeaseLinks } from './lease-links.js'

/** A worker process, as the desk knows it: also for what is told of it after its exit. */
export interface LeaseWorker {
  slot: number
  pid: number
  generation: number
}

export interface LeaseDeskActions {
  supervisor: string
  /** @param onWritten called when the message has left this process, or never will. */
  tell(worker: number, message: PrimaryLeaseMessage, onWritten?: () => void): void
  /** Whether whoever is granted a connection there may dial at once; it is its turn then. */
  takeDialTurn(origin: string): boolean
  /** SIGKILL; its exit is reported to the desk like any other. */
  kill(worker: number, why: string): void
  progress(progress: Progress): void
  trial(worker: number, state: 'trying' | 'passed' | 'failed', reason: string): void
}

/** ms */
const NEWS_DELAY = 20
/** What was due that long ago, in ms, and is due still, is not decided any more. */
const OVERDUE = 1_000

export class LeaseDesk {
  readonly #actions: LeaseDeskActions
  readonly #arbiter = new LeaseArbiter()
  readonly #workers = new Map<number, LeaseWorker>()
  /** Those that were told to leave. */
  readonly #leaving = new Set<number>()
  readonly #claims = new LeaseClaims()
  readonly #links: LeaseLinks
  /** Who outside this tree holds what one of our workers was granted. */
  readonly #outside = new Map<string, LeaseOwner>()
  readonly #requests = new Map<number, (failure: string | null) => void>()
  #lastRequest = 0
  #timer: NodeJS.Timeout | undefined
  #turn: NodeJS.Immediate | undefined
  #dueAt: number | null = null
  /** Leases of which those in line are to be told who holds them. */
  readonly #ownerNews = new Set<string>()
  #newsTimer: NodeJS.Timeout | undefined

  constructor(actions: LeaseDeskActions) {
    this.#actions = actions
    this.#links = new LeaseLinks({
      tell: (worker, message, onWritten) => actions.tell(worker, message, onWritten),
      dropped: (worker, batches) => this.#tellDropped(worker, batches),
    })
  }

  // --- Workers come and go --------------------------------------------------------------------------------------

  joined(id: number, worker: LeaseWorker): void {
    this.#workers.set(id, worker)
    this.#decide({ type: 'joined', claimant: id, generation: worker.generation })
  }

  /** It was told to leave. */
  leaving(id: number): void {
    if (!this.#workers.has(id)) return
    this.#leaving.add(id)
    this.#decide({ type: 'leaving', claimant: id })
  }

  /** Its process has ended. */
  exited(id: number): void {
    if (!this.#workers.has(id)) return
    for (const record of this.#claims.ofWorker(id)) this.#forget(record)
    this.#decide({ type: 'exited', claimant: id })
    this.#workers.delete(id)
    this.#leaving.delete(id)
  }

  tryOut(id: number): void {
    this.#decide({ type: 'tryOut', claimant: id })
  }

  trust(id: number): void {
    this.#decide({ type: 'keep', claimant: id })
  }

  distrust(generation: number, why: string): void {
    this.#decide({ type: 'distrusted', generation, why })
  }

  /**
   * Hands a client's connection to the worker of that slot, or to whoever is next.
   *
   * @param slot null: whoever is next.
   * @returns what happened, in words; `ok` if it is open there.
   */
  async handOver(client: string, slot: number | null): Promise<{ ok: boolean; text: string }> {
    const known = this.#claims.all.filter(({ kind }) => kind === 'client')
    const found = known.find(({ name, identity }) => name === client || identity === client)
    if (found === undefined) {
      const names = [...new Set(known.map(({ name }) => name))].join(', ')
      const there = names === '' ? 'no worker has one' : `there is ${names}`
      return { ok: false, text: `no exclusive client named ${client}; ${there}` }
    }
    const { lease } = found
    const target = slot === null ? null : this.#standbyIn(slot, lease)
    if (target === undefined)
      return { ok: false, text: `no worker of slot ${slot} stands by for client ${client}` }
    const begunAt = monotonicNow()
    const request = ++this.#lastRequest
    const failure = await new Promise<string | null>((settle) => {
      this.#requests.set(request, settle)
      this.#decide({ type: 'handOver', request, lease, to: target })
    })
    if (failure !== null) return { ok: false, text: `client ${client} was not handed over: ${failure}` }
    const holder = this.#holderOf(lease)
    const who = holder === undefined ? undefined : this.#workers.get(holder.worker)
    const ms = Math.round(monotonicNow() - begunAt)
    return {
      ok: true,
      text: `client ${client} is with worker ${who?.slot ?? '?'} (pid ${who?.pid ?? '?'}), after ${ms} ms`,
    }
  }

  /** The newest worker of a slot that claims it. */
  #standbyIn(slot: number, lease: string): number | undefined {
    const ids = this.#claims.forLease(lease).map(({ worker }) => worker)
    return ids.filter((id) => this.#workers.get(id)?.slot === slot).at(-1)
  }

  /** Has the arbiter decide what is due, and says whether nothing is due any more. */
  answers(): boolean {
    this.#decide({ type: 'tick' })
    const next = this.#arbiter.nextDeadline()
    return next === null || next > monotonicNow() - OVERDUE
  }

  end(): void {
    this.#clearTimer()
    clearTimeout(this.#newsTimer)
    for (const settle of this.#requests.values()) settle('the supervisor is stopping')
    this.#requests.clear()
  }

  // --- What workers say -----------------------------------------------------------------------------------------

  received(worker: number, message: WorkerLeaseMessage): void {
    // Of a worker that has exited something may still be read.
    if (!this.#workers.has(worker)) return
    if (message.do === 'claim') return this.#claimed(worker, message)
    if (message.do === 'renew') {
      this.#decide({ type: 'renewed', claimant: worker })
      return this.#actions.tell(worker, { do: 'renewed', renewal: message.renewal })
    }
    const record = this.#claims.get(worker, message.claim)
    if (record === undefined) return
    const who = { claimant: worker, claim: message.claim }
    switch (message.do) {
      case 'withdraw':
        this.#forget(record)
        return this.#decide({ type: 'withdrawn', ...who })
      case 'release':
        record.held = null
        record.isShared = false
        this.#outside.delete(record.lease)
        return this.#decide({
          type: 'released',
          ...who,
          grant: message.grant,
          isSuperseded: message.isSuperseded,
        })
      case 'opened':
        record.held ??= { epoch: message.epoch, since: Date.now() }
        record.isShared = true
        this.#outside.delete(record.lease)
        return this.#decide({ type: 'opened', ...who, grant: message.grant })
      case 'failed':
        return this.#decide({ type: 'failed', ...who, grant: message.grant, why: message.why })
      case 'blocked':
        this.#noteOutside(record, message.owner)
        this.#decide({ type: 'blocked', ...who, grant: message.grant })
        return this.#tellOwnerSoon(record.lease)
      case 'need':
        return this.#decide({ type: 'needed', ...who })
      case 'insist':
        return this.#decide({ type: 'insisted', ...who })
      case 'askToLeave':
        record.wouldLeave = true
        return this.#letLeave(record.lease)
      case 'linkData':
        return this.#links.pass(record, message.link, message.payload)
      case 'broadcast':
        return this.#links.broadcast(record, message.payload)
      case 'closeLinks':
        record.isShared = false
        return this.#links.closeFrom(record)
    }
  }

  #noteOutside({ lease, worker }: ClaimRecord, owner: LeaseOwner): void {
    const isNews = this.#outside.get(lease)?.pid !== owner.pid
    this.#outside.set(lease, { ...owner, isOurs: false })
    const who = this.#workers.get(worker)
    if (!isNews || who === undefined) return
    const { pid: ownerPid, supervisor, since } = owner
    const about = { ...leaseRefOf(lease), ...who, ownerPid, owner: supervisor, since }
    this.#actions.progress({ event: 'leaseBlocked', ...about })
  }

  #claimed(worker: number, message: Extract<WorkerLeaseMessage, { do: 'claim' }>): void {
    const { claim, kind, identity, name, origin, renewal } = message
    this.#decide({ type: 'renewed', claimant: worker })
    // Before a grant: its fence is counted from this answer.
    this.#actions.tell(worker, { do: 'renewed', renewal })
    if (this.#claims.ofWorker(worker).length >= MAX_CLAIMS) return
    const { lease } = this.#claims.add({ worker, claim, kind, identity, name, origin })
    this.#decide({ type: 'claimed', claimant: worker, claim, lease })
  }

  #forget(record: ClaimRecord): void {
    this.#claims.remove(record)
    this.#links.closeAt(record)
    this.#letLeave(record.lease)
  }

  /**
   * Where everybody leaves, the holder is the last: the others deliver over its connection what they have. Where somebody
   * stays, that one is the next holder.
   */
  #letLeave(lease: string): void {
    const records = this.#claims.forLease(lease)
    for (const record of records) {
      const others = records.filter((other) => other !== record)
      const isAwaited = others.length > 0 && others.every(({ worker }) => this.#leaving.has(worker))
      if (!record.wouldLeave || isAwaited) continue
      record.wouldLeave = false
      this.#actions.tell(record.worker, { do: 'mayLeave', claim: record.claim })
    }
  }

  // --- What the arbiter decides ---------------------------------------------------------------------------------

  /** Grants first: while the others are told who lets go and who holds it, the new holder is at work already. */
  #decide(event: ArbiterEvent): void {
    const effects = this.#arbiter.handle(event, monotonicNow())
    for (const effect of effects) if (effect.type === 'grant') this.#carryOut(effect)
    for (const effect of effects) if (effect.type !== 'grant') this.#carryOut(effect)
    this.#watch()
  }

  #carryOut(effect: ArbiterEffect): void {
    switch (effect.type) {
      case 'grant': {
        const { claimant, claim, grant } = effect
        const { kind, origin } = this.#claims.get(claimant, claim) ?? { kind: 'task', origin: null }
        const mayDial = kind === 'client' && origin !== null && this.#actions.takeDialTurn(origin)
        return this.#actions.tell(claimant, { do: 'grant', claim, grant, mayDial })
      }
      case 'revoke': {
        const { claimant, claim, grant, why, budget } = effect
        return this.#actions.tell(claimant, { do: 'revoke', claim, grant, why, budget })
      }
      case 'kill':
        return this.#actions.kill(effect.claimant, effect.why)
      case 'holderChanged':
        this.#openLinks(effect.lease)
        return this.#tellOwnerSoon(effect.lease)
      case 'trying':
        return this.#actions.trial(effect.claimant, 'trying', '')
      case 'tried':
        return effect.failure === null
          ? this.#actions.trial(effect.claimant, 'passed', '')
          : this.#actions.trial(effect.claimant, 'failed', `could not hold ${effect.failure}`)
      case 'handedOver':
        this.#requests.get(effect.request)?.(effect.failure)
        this.#requests.delete(effect.request)
        return
      case 'acquired':
        return this.#tellAcquired(effect)
      case 'lost': {
        const worker = this.#workers.get(effect.claimant)
        if (worker === undefined) return
        const { lease, why: reason } = effect
        return this.#actions.progress({ event: 'leaseLost', ...leaseRefOf(lease), ...worker, reason })
      }
    }
  }

  #tellAcquired({ lease, claimant, from, gap }: Extract<ArbiterEffect, { type: 'acquired' }>): void {
    const worker = this.#workers.get(claimant)
    if (worker === undefined) return
    const gapMs = gap === null ? null : Math.round(gap * 10) / 10
    const fromSlot = from === null || from === claimant ? undefined : this.#workers.get(from)?.slot
    const who = { ...leaseRefOf(lease), ...worker }
    if (fromSlot !== undefined && gapMs !== null)
      this.#actions.progress({ event: 'leaseHandedOff', ...who, fromSlot, gapMs })
    else this.#actions.progress({ event: 'leaseAcquired', ...who, gapMs })
  }

  #tellDropped(id: number, batches: number): void {
    const worker = this.#workers.get(id)
    if (worker !== undefined) this.#actions.progress({ event: 'fanoutDropped', ...worker, batches })
  }

  #holderOf(lease: string): ClaimRecord | undefined {
    const holder = this.#arbiter.state.leases[lease]?.holder
    return holder == null ? undefined : this.#claims.get(holder.claimant, holder.claim)
  }

  /** Not in the middle of a handover: it is said once, and wakes nobody while somebody else is in a hurry. */
  #tellOwnerSoon(lease: string): void {
    this.#ownerNews.add(lease)
    this.#newsTimer ??= setTimeout(() => {
      this.#newsTimer = undefined
      for (const each of this.#ownerNews) this.#tellOwner(each)
      this.#ownerNews.clear()
    }, NEWS_DELAY)
  }

  #tellOwner(lease: string): void {
    const holder = this.#holderOf(lease)
    const owner = this.#outside.get(lease) ?? (holder === undefined ? null : this.#ownerOf(holder))
    for (const record of this.#claims.forLease(lease)) {
      const text = record === holder ? '' : JSON.stringify(owner)
      if (text === record.told) continue
      record.told = text
      if (record !== holder) this.#actions.tell(record.worker, { do: 'owner', claim: record.claim, owner })
    }
  }

  #ownerOf({ worker, held, origin }: ClaimRecord): LeaseOwner | null {
    const known = this.#workers.get(worker)
    if (known === undefined) return null
    return {
      pid: known.pid,
      supervisor: this.#actions.supervisor,
      slot: known.slot,
      epoch: held?.epoch ?? null,
      since: held?.since ?? null,
      origin,
      isOurs: true,
    }
  }

  /** Between the holder, once it is open, and each who stands by for a connection. */
  #openLinks(lease: string): void {
    const holder = this.#arbiter.state.leases[lease]?.holder
    const record = this.#holderOf(lease)
    if (record?.kind !== 'client' || !record.isShared || holder?.phase !== 'open') return
    this.#links.open(
      record,
      this.#claims.forLease(lease).filter((standby) => standby !== record),
    )
  }

  // --- Time -----------------------------------------------------------------------------------------------------

  #watch(): void {
    const next = this.#arbiter.nextDeadline()
    if (next === this.#dueAt) return
    this.#clearTimer()
    this.#dueAt = next
    if (next === null) return
    const tick = (): void => {
      this.#dueAt = null
      this.#decide({ type: 'tick' })
    }
    // Told only when everything has been read that came before: what was said in time was said in time.
    const afterReading = (): void => {
      this.#turn = setImmediate(tick)
    }
    this.#timer = setTimeout(afterReading, Math.max(0, next - monotonicNow()))
  }

  #clearTimer(): void {
    clearTimeout(this.#timer)
    clearImmediate(this.#turn)
    this.#dueAt = null
  }
}
