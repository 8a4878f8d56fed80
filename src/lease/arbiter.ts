// Who of several processes holds what: the decisions of the one that arbitrates. Pure: events and a clock in, effects out.
//
// One rule above all: nobody is granted anything before the last holder has said that what it protected is gone, or its
// process has ended and that end was awaited. A closed channel proves neither. A holder that is silent is killed.
// What it knows is arbiter-state.ts; the shell in a primary is src/primary/lease-desk.ts; a holder's side is claim.ts.

import type { ArbiterEffect, ArbiterEvent } from './arbiter-events.js'
import {
  type ArbiterState,
  type Claim,
  type Claimant,
  emptyArbiter,
  type Holder,
  type Lease,
  type Move,
} from './arbiter-state.js'
import { HEARTBEAT, OVERDUE, REVOKE_BUDGET, REVOKE_GRACE, SLEPT } from './timing.js'

/** For a new holder to be open: its one attempt has a deadline of its own, and this is beyond any sensible one. */
const OPEN_LIMIT = 60_000

export class LeaseArbiter {
  readonly state: ArbiterState
  #effects: ArbiterEffect[] = []
  #now = 0

  constructor(state: ArbiterState = emptyArbiter()) {
    this.state = state
  }

  /** Decides; `now` is monotonic ms. The effects are to be carried out in their order. */
  handle(event: ArbiterEvent, now: number): ArbiterEffect[] {
    this.#now = now
    this.#forgiveIfAsleep()
    this.#dispatch(event)
    for (const name of Object.keys(this.state.leases)) this.#settle(name)
    this.state.dueAt = this.#nextDeadline()
    return this.#effects.splice(0)
  }

  /** When `tick` is to come next; null: nothing is waited for. */
  nextDeadline(): number | null {
    return this.state.dueAt
  }

  /** Somebody who holds is looked after each second, so that it shows when this process slept. */
  #nextDeadline(): number | null {
    const deadlines = Object.values(this.state.leases).flatMap(({ holder, move }) => [
      ...(holder === null ? [] : [this.#overdueAt(holder), this.#goneBy(holder)]),
      move?.openBy ?? Number.POSITIVE_INFINITY,
    ])
    const next = Math.min(...deadlines)
    return Number.isFinite(next) ? Math.min(next, this.#now + HEARTBEAT) : null
  }

  #dispatch(event: ArbiterEvent): void {
    switch (event.type) {
      case 'joined':
        this.state.claimants[event.claimant] = newClaimant(event.generation, this.#now)
        return
      case 'proved':
        return this.#change(event.claimant, { isProved: true })
      case 'leaving':
        return this.#change(event.claimant, { isLeaving: true })
      case 'renewed':
        return this.#change(event.claimant, { heardAt: this.#now })
      case 'exited':
        return this.#exited(event.claimant)
      case 'claimed':
        return this.#claimed(event.claimant, event.claim, event.lease)
      case 'insisted':
        return this.#onClaim(event, (lease) => {
          lease.isBarred = false
        })
      case 'needed':
        return this.#onClaim(event, (_lease, claim) => {
          claim.isNeedy = true
        })
      case 'withdrawn':
        return this.#withdrawn(event)
      case 'released':
        return this.#onHolder(event, (lease, holder, name) => {
          lease.isBarred ||= event.isSuperseded
          moveToEnd(lease, holder)
          this.#free(name, lease, 'it let go')
        })
      case 'opened':
        return this.#onHolder(event, (lease, holder, name) => this.#opened(name, lease, holder))
      case 'failed':
        return this.#onHolder(event, (lease, holder, name) => {
          if (holder.phase === 'open') {
            holder.phase = 'granted'
            lease.freeSince = this.#now
            this.#emit({ type: 'holderChanged', lease: name })
          }
          if (lease.move?.to === holder.claimant) this.#turnBack(lease, lease.move, event.why)
        })
      case 'blocked':
        return this.#onHolder(event, (lease, holder) => this.#blocked(lease, holder))
      case 'tryOut':
        return this.#tryOut(event.claimant)
      case 'keep':
        return this.#keep(event.claimant)
      case 'giveBack':
        return this.#giveBack(event.claimant, event.why)
      case 'distrusted':
        for (const [claimant, { generation }] of Object.entries(this.state.claimants))
          if (generation === event.generation) this.#giveBack(Number(claimant), event.why)
        return
      case 'handOver':
        return this.#handOver(event)
      case 'tick':
        return this.#tick()
    }
  }

  #change(claimant: number, change: Partial<Claimant>): void {
    const known = this.state.claimants[claimant]
    if (known !== undefined) Object.assign(known, change)
  }

  // --- In line --------------------------------------------------------------------------------------------------

  #claimed(claimant: number, claim: number, name: string): void {
    if (this.state.claimants[claimant] === undefined) return
    const lease = this.#leaseOf(name)
    if (lease.claims.some((one) => one.claimant === claimant)) return
    lease.claims.push({ claimant, claim, isNeedy: false })
    this.#emit({ type: 'holderChanged', lease: name })
    if (this.state.claimants[claimant].isOnTrial) this.#beginTrial(name, lease, claimant)
  }

  #leaseOf(name: string): Lease {
    const { leases } = this.state
    leases[name] ??= {
      claims: [],
      holder: null,
      move: null,
      isBarred: false,
      freeSince: null,
      lastHolder: null,
    }
    return leases[name]
  }

  #onClaim(
    { claimant, claim }: { claimant: number; claim: number },
    act: (lease: Lease, claim: Claim, name: string) => void,
  ): void {
    for (const [name, lease] of Object.entries(this.state.leases)) {
      const found = lease.claims.find((one) => one.claimant === claimant && one.claim === claim)
      if (found !== undefined) act(lease, found, name)
    }
  }

  /** What is said of a grant that is over is ignored: it crossed with what ended it. */
  #onHolder(
    { claimant, claim, grant }: { claimant: number; claim: number; grant: number },
    act: (lease: Lease, holder: Holder, name: string) => void,
  ): void {
    this.#onClaim({ claimant, claim }, (lease, _claim, name) => {
      const { holder } = lease
      if (holder?.claimant === claimant && holder.grant === grant) act(lease, holder, name)
    })
  }

  #withdrawn({ claimant, claim }: { claimant: number; claim: number }): void {
    this.#onClaim({ claimant, claim }, (lease, found, name) => {
      lease.claims.splice(lease.claims.indexOf(found), 1)
      if (lease.holder?.claimant === claimant) this.#free(name, lease, 'it let go for good')
    })
  }

  #exited(claimant: number): void {
    for (const [name, lease] of Object.entries(this.state.leases)) {
      lease.claims = lease.claims.filter((claim) => claim.claimant !== claimant)
      if (lease.holder?.claimant === claimant) this.#free(name, lease, 'its process ended')
      if (lease.move?.to === claimant) this.#turnBack(lease, lease.move, 'its process ended')
    }
    delete this.state.claimants[claimant]
  }

  #free(name: string, lease: Lease, why: string): void {
    const { holder } = lease
    if (holder === null) return
    lease.holder = null
    if (lease.lastHolder !== null) lease.freeSince ??= this.#now
    this.#emit({ type: 'lost', lease: name, claimant: holder.claimant, grant: holder.grant, why })
    this.#emit({ type: 'holderChanged', lease: name })
  }

  // --- Granting -------------------------------------------------------------------------------------------------

  /** What follows from the state of a lease, whatever has just happened. */
  #settle(name: string): void {
    const lease = this.state.leases[name]
    if (lease === undefined) return
    if (lease.holder === null) this.#fill(name, lease)
    if (lease.holder === null && lease.claims.length === 0) delete this.state.leases[name]
  }

  #fill(name: string, lease: Lease): void {
    const { move } = lease
    if (move === null) return this.#grantTo(name, lease, this.#next(lease))
    if (lease.isBarred) return this.#abandonMove(lease, move, 'another session took our place meanwhile')
    if (move.phase === 'closing') {
      const target = this.#eligible(lease, move.to)
      if (target !== undefined) {
        move.phase = 'opening'
        move.openBy = this.#now + OPEN_LIMIT
        return this.#grantTo(name, lease, target)
      }
    }
    // Whoever was to have it is gone, has let go, or has failed.
    this.#turnBack(lease, move, 'it let go')
    this.#endMove(lease, move)
    this.#grantTo(name, lease, this.#eligible(lease, move.from) ?? this.#next(lease))
  }

  #grantTo(name: string, lease: Lease, claim: Claim | undefined): void {
    if (claim === undefined) return
    const grant = ++this.state.lastGrant
    const { claimant } = claim
    lease.holder = {
      claimant,
      claim: claim.claim,
      grant,
      phase: 'granted',
      grantedAt: this.#now,
      goneBy: null,
    }
    this.#emit({ type: 'grant', claimant, claim: claim.claim, grant, lease: name })
    this.#emit({ type: 'holderChanged', lease: name })
  }

  /**
   * The newest release before older ones, since that one stays; but a worker that has proved itself before any that has
   * not. Those who leave come last, and only with something to deliver.
   */
  #next(lease: Lease): Claim | undefined {
    if (lease.isBarred) return undefined
    const candidates = lease.claims.flatMap((claim) => {
      const claimant = this.state.claimants[claim.claimant]
      const isOut = claimant === undefined || claimant.isCondemned || claimant.hasFailed
      if (isOut || (claimant.isLeaving && !claim.isNeedy)) return []
      return [{ claim, claimant }]
    })
    const order = candidates.sort(
      (a, b) =>
        Number(a.claimant.isLeaving) - Number(b.claimant.isLeaving) ||
        Number(b.claimant.isProved) - Number(a.claimant.isProved) ||
        b.claimant.generation - a.claimant.generation,
    )
    return order[0]?.claim
  }

  /** The claim of this very process, if it may be granted what it claims. */
  #eligible(lease: Lease, claimant: number): Claim | undefined {
    const known = this.state.claimants[claimant]
    if (known === undefined || known.isCondemned || known.isLeaving || known.hasFailed) return undefined
    return lease.claims.find((claim) => claim.claimant === claimant)
  }

  #opened(name: string, lease: Lease, holder: Holder): void {
    if (holder.phase === 'granted') {
      holder.phase = 'open'
      const gap = lease.freeSince === null ? null : this.#now - lease.freeSince
      const { claimant, grant } = holder
      this.#emit({ type: 'acquired', lease: name, claimant, grant, from: lease.lastHolder, gap })
      lease.freeSince = null
      lease.lastHolder = claimant
      this.#emit({ type: 'holderChanged', lease: name })
    }
    const { move } = lease
    if (move?.to !== holder.claimant || move.phase !== 'opening') return
    move.openBy = null
    const isWatched = this.state.claimants[holder.claimant]?.isOnTrial === true
    if (move.kind === 'request' || !isWatched) return this.#endMove(lease, move)
    move.phase = 'watched'
    this.#tellIfTried(holder.claimant)
  }

  // --- Moves ----------------------------------------------------------------------------------------------------

  #tryOut(claimant: number): void {
    this.#change(claimant, { isOnTrial: true })
    for (const [name, lease] of Object.entries(this.state.leases)) this.#beginTrial(name, lease, claimant)
  }

  /** What was not open before proves nothing about whoever gets it next: it stays where it is. */
  #beginTrial(name: string, lease: Lease, claimant: number): void {
    const { holder } = lease
    if (!name.startsWith('client ') || holder?.phase !== 'open' || holder.claimant === claimant) return
    if (lease.move !== null || this.#eligible(lease, claimant) === undefined) return
    this.#emit({ type: 'trying', claimant })
    this.#beginMove(
      lease,
      holder,
      { kind: 'trial', lease: name, to: claimant, request: null },
      'a new release is tried',
    )
  }

  #handOver({ request, lease: name, to }: Extract<ArbiterEvent, { type: 'handOver' }>): void {
    const lease = this.state.leases[name]
    const refuse = (failure: string): void => this.#emit({ type: 'handedOver', request, failure })
    if (lease === undefined) return refuse('nobody claims it')
    const { holder } = lease
    if (holder === null) return refuse('nobody holds it')
    if (lease.move !== null) return refuse('it is being handed over already')
    if (to === holder.claimant) return this.#emit({ type: 'handedOver', request, failure: null })
    const others = { ...lease, claims: lease.claims.filter((claim) => claim.claimant !== holder.claimant) }
    const target = to === null ? this.#next(others) : this.#eligible(lease, to)
    if (target === undefined) return refuse('no worker stands by that could take it')
    this.#beginMove(
      lease,
      holder,
      { kind: 'request', lease: name, to: target.claimant, request },
      'it is handed over',
    )
  }

  #beginMove(
    lease: Lease,
    holder: Holder,
    move: Pick<Move, 'kind' | 'lease' | 'to' | 'request'>,
    why: string,
  ): void {
    lease.move = { ...move, phase: 'closing', from: holder.claimant, openBy: null, failure: null }
    this.#revoke(holder, why)
  }

  #revoke(holder: Holder, why: string): void {
    if (holder.phase === 'revoking') return
    holder.phase = 'revoking'
    holder.goneBy = this.#now + REVOKE_BUDGET + REVOKE_GRACE
    const { claimant, claim, grant } = holder
    this.#emit({ type: 'revoke', claimant, claim, grant, why, budget: REVOKE_BUDGET })
  }

  /** The new holder cannot hold it: as soon as it has let go, the old one gets it again. */
  #turnBack(lease: Lease, move: Move, why: string): void {
    if (move.phase === 'returning') return
    const wasClosing = move.phase === 'closing'
    move.failure ??= why
    move.phase = 'returning'
    move.openBy = null
    const { holder } = lease
    if (!wasClosing && holder?.claimant === move.to) this.#revoke(holder, why)
    if (move.kind === 'trial') this.#trialFailed(move.to, `${move.lease}: ${move.failure}`)
  }

  /** One failure is enough: it is said once, and nothing more is granted to it. */
  #trialFailed(claimant: number, failure: string): void {
    if (this.state.claimants[claimant]?.isOnTrial !== true) return
    this.#change(claimant, { isOnTrial: false, hasFailed: true })
    this.#emit({ type: 'tried', claimant, failure })
  }

  #endMove(lease: Lease, move: Move): void {
    lease.move = null
    if (move.request !== null)
      this.#emit({ type: 'handedOver', request: move.request, failure: move.failure })
  }

  #blocked(lease: Lease, holder: Holder): void {
    const { move } = lease
    if (move?.to !== holder.claimant || move.phase !== 'opening') return
    this.#abandonMove(lease, move, 'another supervisor or program took it meanwhile')
  }

  /** What came between says nothing about whoever was to have it. */
  #abandonMove(lease: Lease, move: Move, why: string): void {
    move.failure ??= why
    this.#endMove(lease, move)
    const isAwaited = move.phase === 'closing' || move.phase === 'opening'
    if (move.kind === 'trial' && isAwaited) this.#tellIfTried(move.to)
  }

  #tellIfTried(claimant: number): void {
    if (this.state.claimants[claimant]?.isOnTrial !== true) return
    if (this.#trialsOf(claimant).every(({ phase }) => phase === 'watched'))
      this.#emit({ type: 'tried', claimant, failure: null })
  }

  #trialsOf(claimant: number): Move[] {
    return Object.values(this.state.leases).flatMap(({ move }) =>
      move?.kind === 'trial' && move.to === claimant ? [move] : [],
    )
  }

  #keep(claimant: number): void {
    this.#change(claimant, { isOnTrial: false, isProved: true })
    for (const lease of Object.values(this.state.leases)) {
      const { move } = lease
      if (move?.kind === 'trial' && move.to === claimant && move.phase === 'watched') lease.move = null
    }
  }

  #giveBack(claimant: number, why: string): void {
    // Who waits for the verdict is told; who has heard one decided this itself.
    const isAwaited = this.#trialsOf(claimant).some(({ phase }) => phase === 'closing' || phase === 'opening')
    if (isAwaited) this.#trialFailed(claimant, why)
    this.#change(claimant, { isOnTrial: false, hasFailed: true })
    for (const lease of Object.values(this.state.leases)) {
      const { move, holder } = lease
      if (move?.to === claimant) this.#turnBack(lease, move, why)
      else if (holder?.claimant === claimant && this.#next(lease) !== undefined) this.#revoke(holder, why)
    }
  }

  // --- Time -----------------------------------------------------------------------------------------------------

  #overdueAt({ claimant, grantedAt }: Holder): number {
    const known = this.state.claimants[claimant]
    if (known === undefined || known.isCondemned) return Number.POSITIVE_INFINITY
    return Math.max(known.heardAt, grantedAt) + OVERDUE
  }

  /** Whoever is killed already is waited for, not judged again. */
  #goneBy({ claimant, goneBy }: Holder): number {
    const known = this.state.claimants[claimant]
    return known === undefined || known.isCondemned
      ? Number.POSITIVE_INFINITY
      : (goneBy ?? Number.POSITIVE_INFINITY)
  }

  /**
   * This process slept: nobody could be heard meanwhile, and nobody is to blame. Whatever is read first shows it; what
   * the others sent may still lie unread.
   */
  #forgiveIfAsleep(): void {
    const late = this.#now - (this.state.dueAt ?? this.#now)
    if (late > SLEPT) this.#forgive(late)
  }

  #tick(): void {
    for (const lease of Object.values(this.state.leases)) {
      const { holder, move } = lease
      if (holder !== null) this.#judge(holder)
      if (move?.openBy != null && move.openBy <= this.#now)
        this.#turnBack(lease, move, `it was not open within ${OPEN_LIMIT / 1_000} s`)
    }
  }

  #judge(holder: Holder): void {
    if (this.#overdueAt(holder) <= this.#now)
      this.#kill(holder.claimant, `it did not answer for ${OVERDUE / 1_000} s`)
    else if (this.#goneBy(holder) <= this.#now)
      this.#kill(holder.claimant, 'it was told to let go of what it holds, and did not')
  }

  #kill(claimant: number, why: string): void {
    const known = this.state.claimants[claimant]
    if (known === undefined || known.isCondemned) return
    known.isCondemned = true
    this.#emit({ type: 'kill', claimant, why })
  }

  #forgive(ms: number): void {
    for (const claimant of Object.values(this.state.claimants)) claimant.heardAt = this.#now
    for (const { holder, move } of Object.values(this.state.leases)) {
      if (holder?.goneBy != null) holder.goneBy += ms
      if (move?.openBy != null) move.openBy += ms
    }
  }

  #emit(effect: ArbiterEffect): void {
    this.#effects.push(effect)
  }
}

const newClaimant = (generation: number, now: number): Claimant => ({
  generation,
  isProved: false,
  isLeaving: false,
  hasFailed: false,
  isOnTrial: false,
  heardAt: now,
  isCondemned: false,
})

/** Who has just let go is granted it again only when nobody else stands in line. */
const moveToEnd = (lease: Lease, { claimant }: Holder): void => {
  const index = lease.claims.findIndex((claim) => claim.claimant === claimant)
  lease.claims.push(...lease.claims.splice(index, 1))
}
