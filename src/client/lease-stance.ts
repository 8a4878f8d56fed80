// How an exclusive client stands with its lease: the whole truth in one table, moved by client-session.ts. Who is granted
// when is src/lease; here is only what this client makes of it.

import { type TransitionTable, transition } from '../shared/state-machine.js'

/**
 * `none`: not in line. `claimed`: in line. `held`: ours, it may be dialled. `leaving`: to be let go of when no socket is
 * left. `regained`: ours again before the socket of the time before is gone.
 */
export type LeaseStanceName = 'none' | 'claimed' | 'held' | 'leaving' | 'regained'

export const LEASE_STANCES: TransitionTable<LeaseStanceName> = {
  none: ['claimed'],
  claimed: ['held', 'none'],
  held: ['leaving'],
  leaving: ['claimed', 'none', 'regained'],
  regained: ['held', 'leaving'],
}

/** What becomes of it when it is let go of. */
export interface LetGo {
  /** Out of the line; else it stands in line again. */
  isFinal: boolean
  /** Another session took its place at the upstream. */
  isSuperseded: boolean
}

const FOR_OTHERS: LetGo = { isFinal: false, isSuperseded: false }

export class LeaseStance {
  #name: LeaseStanceName = 'none'
  #letGo: LetGo = FOR_OTHERS

  /** In line, or at the head of it. */
  get isClaimed(): boolean {
    return this.#name !== 'none'
  }

  /** Ours, if only for as long as the socket takes to go. */
  get isHeld(): boolean {
    return this.#name === 'held' || this.isLeaving || this.isRegained
  }

  get isLeaving(): boolean {
    return this.#name === 'leaving'
  }

  get isRegained(): boolean {
    return this.#name === 'regained'
  }

  /** It goes to others, and this client may still use what they have. */
  get isLeavingForOthers(): boolean {
    return this.isLeaving && !this.#letGo.isFinal
  }

  /** False if it stands in line already. */
  claim(): boolean {
    if (this.isClaimed) return false
    this.#moveTo('claimed', 'wanted')
    return true
  }

  /** False where it is not wanted any more. */
  grant(): boolean {
    if (this.#name === 'claimed') this.#moveTo('held', 'granted')
    else if (this.isLeavingForOthers) this.#moveTo('regained', 'granted again')
    else return false
    return true
  }

  /** It shall go as soon as the socket has. What was said before holds, unless this is `how` to leave for good. */
  leave(how: LetGo = FOR_OTHERS): void {
    if (this.isLeaving && !how.isFinal) return
    this.#letGo = how
    if (!this.isLeaving) this.#moveTo('leaving', 'to be let go of')
  }

  /** No socket is left. Returns how it was let go of; `isFinal` may be asked for on top. */
  letGo(isFinal: boolean): LetGo {
    const how = { ...this.#letGo, isFinal: this.#letGo.isFinal || isFinal }
    this.#letGo = FOR_OTHERS
    this.#moveTo(how.isFinal ? 'none' : 'claimed', 'let go')
    return how
  }

  /** Out of the line, without ever having held it. */
  withdraw(): void {
    this.#moveTo('none', 'not wanted any more')
  }

  /** The socket of the time before is gone. */
  keep(): void {
    this.#moveTo('held', 'ours again')
  }

  #moveTo(name: LeaseStanceName, reason: string): void {
    this.#name = transition('lease of a client', LEASE_STANCES, this.#name, name, reason)
  }
}
