// A lease of this machine while it is held: notices when it is lost, and gives it back. How it was taken, and for what,
// is machine-lease.ts.

import { type TransitionTable, transition } from '../shared/state-machine.js'
import type { LeaseRecord } from './lease-record.js'

export interface MachineHold {
  /** The fencing token: higher than that of every owner before. */
  readonly epoch: number
  /** To be asked before what the lease protects is used after a pause of any kind; false when it was lost or given back. */
  isHeld(): boolean
  /**
   * The identity is free for others when this returns; all is closed when it settles.
   *
   * @param how.isAwaited whether others of this process's tree wait for it; see lease-record.ts.
   */
  release(how?: { isAwaited: boolean }): Promise<void>
}

export interface HeldOptions {
  epoch: number
  record: LeaseRecord
  /** ms after the last refresh began when others may think us gone; null: the kernel lock keeps them out. */
  fence: number | null
  /** Whether the kernel lock still is the one that others would take: not when the runtime folder was replaced. */
  isStillOurs: () => boolean
  releaseKernelLock: (() => Promise<void>) | null
  onLost: (why: string) => void
}

const HOLD = {
  held: ['lost', 'released'],
  lost: ['released'],
  released: [],
} as const satisfies TransitionTable<string>

/** After so long without a refresh (ms) somebody beyond the kernel lock's reach may have taken over: it is looked up. */
const SUSPICIOUS = 6_000
const RETRY = 1_000

export class HeldLease implements MachineHold {
  readonly epoch: number
  readonly #options: HeldOptions
  #state: keyof typeof HOLD = 'held'
  #timer: NodeJS.Timeout | undefined
  #closed: Promise<void> | undefined

  constructor(options: HeldOptions) {
    this.epoch = options.epoch
    this.#options = options
    this.#watchFence()
  }

  isHeld(): boolean {
    if (this.#state === 'held') this.#check(performance.now() - this.#options.record.refreshed)
    return this.#state === 'held'
  }

  /** After a stall this comes too late: the record may look ours although another one is about to clear it away. */
  refreshed(gap: number): void {
    if (this.#state === 'held') this.#check(gap)
  }

  /** The record is gone or was touched. With the kernel lock nobody can have taken it: it is made anew. */
  compromised(why: string): void {
    if (this.#state !== 'held') return
    const { fence, record, isStillOurs } = this.#options
    if (fence !== null) return this.#lose(`its record is not ours any more: ${why}`)
    try {
      if (!isStillOurs() || !record.restore()) this.#lose(`its record was taken by another process: ${why}`)
    } catch {
      // No space, or read-only: it stays ours, and the record is made when that can be done.
      this.#timer = setTimeout(() => this.compromised(why), RETRY).unref()
    }
  }

  #check(age: number): void {
    const { fence, record } = this.#options
    if (fence !== null && age >= fence) this.#lose(`its record was not refreshed for ${Math.round(age)} ms`)
    else if (fence === null && age >= SUSPICIOUS && isTaken(record))
      this.#lose('another process has taken it')
  }

  release({ isAwaited } = { isAwaited: false }): Promise<void> {
    if (this.#state !== 'released') {
      this.#move('released', 'given back')
      this.#letGo(isAwaited)
    }
    return this.#closed ?? Promise.resolve()
  }

  /** What the lease protects is gone when `onLost` returns: only then the kernel lock is given back. */
  #lose(why: string): void {
    this.#move('lost', why)
    try {
      this.#options.onLost(why)
    } finally {
      this.#letGo()
    }
  }

  #letGo(isAwaited = false): void {
    clearTimeout(this.#timer)
    if (this.#closed !== undefined) return
    this.#releaseRecord(isAwaited)
    this.#closed = this.#options.releaseKernelLock?.() ?? Promise.resolve()
  }

  /** A record that cannot be marked says that we own it for as long as we live: tried until it can be. */
  #releaseRecord(isAwaited = false): void {
    try {
      this.#options.record.release(isAwaited)
    } catch {
      setTimeout(() => this.#releaseRecord(), RETRY).unref()
    }
  }

  #watchFence(): void {
    const { fence, record } = this.#options
    if (fence === null) return
    const left = record.refreshed + fence - performance.now()
    this.#timer = setTimeout(() => {
      if (this.isHeld()) this.#watchFence()
    }, left).unref()
  }

  #move(to: keyof typeof HOLD, reason: string): void {
    this.#state = transition<keyof typeof HOLD>('a lease', HOLD, this.#state, to, reason)
  }
}

/** A folder that cannot be read tells nothing. */
const isTaken = (record: LeaseRecord): boolean => {
  try {
    return record.isTaken()
  } catch {
    return false
  }
}
