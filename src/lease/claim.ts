// One process's place in the line for one lease, through both stages: granted by the primary first, then taken on the
// machine. Pure: events in, effects out; state is plain data. A process without a primary is granted by nobody and
// begins at the second stage. The one that grants is arbiter.ts; until when a grant may be used is fence.ts.

import { type TransitionTable, transition } from '../shared/state-machine.js'
import { FENCE_CLOSE } from './timing.js'

/**
 * `waiting`: in line. `taking`: granted, and being taken on the machine. `held`: ours to use. `fenced`: ours, not to be
 * used as long as the primary does not answer. `closing`: whoever uses it was told to let go. `freeing`: nobody uses it,
 * it is being given back on the machine. `ended`: out of the line.
 */
export type ClaimPhase = 'waiting' | 'taking' | 'held' | 'fenced' | 'closing' | 'freeing' | 'ended'

export const CLAIM_LIFECYCLE: TransitionTable<ClaimPhase> = {
  waiting: ['taking', 'ended'],
  taking: ['held', 'fenced', 'freeing'],
  held: ['closing', 'fenced', 'freeing'],
  fenced: ['held', 'freeing'],
  closing: ['fenced', 'freeing'],
  freeing: ['waiting', 'ended'],
  ended: [],
}

export interface ClaimState {
  phase: ClaimPhase
  /** The primary's number of what we were granted. */
  grant: number | null
  /** The machine's: the fencing token. */
  epoch: number | null
  /** `closing` because the primary is silent, not because somebody else is to have it. */
  isOnlyFenced: boolean
  /** Once it is free: whether we go out of the line, or stand in it again. */
  isFinal: boolean
  isSuperseded: boolean
}

export type ClaimEvent =
  | { type: 'granted'; grant: number }
  | { type: 'revoked'; grant: number; why: string; budget: number }
  | { type: 'machineHeld'; epoch: number }
  /** The machine's lease was lost: whatever is open is not ours any more. */
  | { type: 'machineLost'; why: string }
  /** Given back, or not taken after all. */
  | { type: 'machineFree' }
  /** The fence has passed; `isLate`: it was found out late, so nothing may be written any more, not even a Close frame. */
  | { type: 'fencePassed'; isLate: boolean }
  /** The primary has answered again. */
  | { type: 'fenceMoved' }
  /** What it protects is gone. */
  | { type: 'letGo'; isSuperseded: boolean }
  /** The same, and it is not wanted any more. */
  | { type: 'end' }

export type ClaimEffect =
  | { type: 'takeMachine' }
  /** Gives it back, or stops taking it; answered by `machineFree`. */
  | { type: 'freeMachine' }
  | { type: 'tellReleased'; grant: number; isSuperseded: boolean }
  | { type: 'tellWithdrawn' }
  /** To whoever uses it: it may be used; close and let go; destroy at once. */
  | { type: 'mayUse'; epoch: number }
  | { type: 'closeWithin'; why: string; budget: number }
  | { type: 'destroy'; why: string }

export class LeaseClaimCore {
  readonly state: ClaimState
  #effects: ClaimEffect[] = []

  constructor(state: ClaimState = newClaimState()) {
    this.state = state
  }

  /** @param isFenced whether the fence has passed at this moment. */
  handle(event: ClaimEvent, isFenced: boolean): ClaimEffect[] {
    this.#dispatch(event, isFenced)
    return this.#effects.splice(0)
  }

  #dispatch(event: ClaimEvent, isFenced: boolean): void {
    switch (event.type) {
      case 'granted':
        return this.#granted(event.grant)
      case 'revoked':
        return this.#revoked(event)
      case 'machineHeld':
        return this.#machineHeld(event.epoch, isFenced)
      case 'machineLost':
        return this.#machineLost(event.why)
      case 'machineFree':
        return this.#machineFree()
      case 'fencePassed':
        return this.#fencePassed(event.isLate)
      case 'fenceMoved':
        return this.#fenceMoved()
      case 'letGo':
        return this.#letGo(event.isSuperseded, isFenced)
      case 'end':
        return this.#end()
    }
  }

  #granted(grant: number): void {
    if (this.state.phase !== 'waiting') return
    this.state.grant = grant
    this.#moveTo('taking', 'granted')
    this.#emit({ type: 'takeMachine' })
  }

  #machineHeld(epoch: number, isFenced: boolean): void {
    if (this.state.phase !== 'taking') return
    this.state.epoch = epoch
    this.#moveTo(isFenced ? 'fenced' : 'held', 'taken on the machine')
    if (!isFenced) this.#emit({ type: 'mayUse', epoch })
  }

  #revoked({ grant, why, budget }: Extract<ClaimEvent, { type: 'revoked' }>): void {
    if (grant !== this.state.grant) return
    switch (this.state.phase) {
      case 'taking':
      case 'fenced':
        return this.#free(why)
      case 'held':
        this.#moveTo('closing', why)
        return this.#emit({ type: 'closeWithin', why, budget })
      case 'closing':
        this.state.isOnlyFenced = false
    }
  }

  #fencePassed(isLate: boolean): void {
    const { phase } = this.state
    const why = 'the primary does not answer'
    if (phase === 'held' && !isLate) {
      this.#moveTo('closing', why)
      this.state.isOnlyFenced = true
      return this.#emit({ type: 'closeWithin', why, budget: FENCE_CLOSE })
    }
    if (phase !== 'held' && phase !== 'closing') return
    if (!isLate) return
    // This process slept. Whoever was to be told to let go may long be somebody else's business.
    const isRevoked = phase === 'closing' && !this.state.isOnlyFenced
    this.#emit({ type: 'destroy', why: 'this process was stopped, or blocked, for too long' })
    if (!isRevoked) this.#fence('found out late')
  }

  #fence(reason: string): void {
    this.state.isOnlyFenced = false
    this.#moveTo('fenced', reason)
  }

  #fenceMoved(): void {
    const { phase, epoch } = this.state
    if (phase !== 'fenced' || epoch === null) return
    this.#moveTo('held', 'the primary answers')
    this.#emit({ type: 'mayUse', epoch })
  }

  #machineLost(why: string): void {
    const { phase } = this.state
    if (phase !== 'held' && phase !== 'closing' && phase !== 'fenced') return
    this.#emit({ type: 'destroy', why })
    this.#free(why)
  }

  #letGo(isSuperseded: boolean, isFenced: boolean): void {
    const { phase, isOnlyFenced } = this.state
    if (phase === 'closing' && isOnlyFenced && !isSuperseded) {
      this.#fence('closed')
      // The primary may have answered while it was being closed.
      return isFenced ? undefined : this.#fenceMoved()
    }
    if (phase !== 'held' && phase !== 'closing') return
    this.state.isSuperseded = isSuperseded
    this.#free('let go')
  }

  #end(): void {
    const { phase } = this.state
    this.state.isFinal = true
    if (phase === 'waiting') {
      this.#moveTo('ended', 'not wanted any more')
      this.#emit({ type: 'tellWithdrawn' })
    } else if (phase !== 'freeing' && phase !== 'ended') this.#free('not wanted any more')
  }

  #free(why: string): void {
    this.state.isOnlyFenced = false
    this.#moveTo('freeing', why)
    this.#emit({ type: 'freeMachine' })
  }

  #machineFree(): void {
    if (this.state.phase !== 'freeing') return
    const { grant, isFinal, isSuperseded } = this.state
    Object.assign(this.state, { grant: null, epoch: null, isSuperseded: false })
    this.#moveTo(isFinal ? 'ended' : 'waiting', 'free')
    // A superseded one is said to be so even if it is final: nobody else may fight for the place.
    if (grant !== null && (!isFinal || isSuperseded))
      this.#emit({ type: 'tellReleased', grant, isSuperseded })
    if (isFinal) this.#emit({ type: 'tellWithdrawn' })
  }

  #moveTo(phase: ClaimPhase, reason: string): void {
    this.state.phase = transition('lease claim', CLAIM_LIFECYCLE, this.state.phase, phase, reason)
  }

  #emit(effect: ClaimEffect): void {
    this.#effects.push(effect)
  }
}

export const newClaimState = (): ClaimState => ({
  phase: 'waiting',
  grant: null,
  epoch: null,
  isOnlyFenced: false,
  isFinal: false,
  isSuperseded: false,
})
