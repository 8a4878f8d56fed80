// An identity owned by one process of this user on this machine: waits for it, holds it, gives it back. Held are both the
// kernel lock, which cannot be held by two however long one of them was stopped, and the record, which tells everybody
// who it is and is seen beyond a network namespace. Where there is no kernel lock the record alone decides, and who
// could not refresh it gives up by itself before others may think it gone.
//
// In a supervisor's tree src/lease/arbiter.ts decides first which process asks here.

import { createHash } from 'node:crypto'
import { realpathSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { ForksafeError, messageOf } from '../shared/errors.js'
import { ensureRuntimeFolder, runtimeFolder } from '../shared/runtime-folder.js'
import { installId } from './install-id.js'
import { hasKernelLock, kernelLockIsFree, takeKernelLock } from './kernel-lock.js'
import { LeaseRecord, type OwnerDetails } from './lease-record.js'
import { prepareLockFolder } from './lock-folder.js'
import { HeldLease, type MachineHold } from './machine-hold.js'
import type { MachineOwner } from './machine-owner.js'
import { thisHost } from './owner-life.js'
import { pause } from './pause.js'
import type { TakingRules } from './taking-steps.js'

export type { OwnerDetails } from './lease-record.js'
export type { MachineHold } from './machine-hold.js'
export type { MachineOwner } from './machine-owner.js'

export interface MachineRequest extends OwnerDetails {
  /** Whether waiting keeps the process alive. Holding never does. */
  keepsAlive: boolean
}

export interface MachineWait {
  signal: AbortSignal
  /** Told whenever it changes for whom we wait; null: not known. */
  onStandsBy?: (owner: MachineOwner | null) => void
  /**
   * The lease is not ours any more although nobody gave it back. What it protects must be gone when this returns: only
   * then the next owner can come.
   */
  onLost: (why: string) => void
  /** Why it cannot be taken at the moment: a full disk, no descriptors. It is tried again each second. */
  onTrouble?: (text: string) => void
  /** For tests: other times than {@link RULES}. */
  rules?: Partial<TakingRules>
}

/**
 * 20 looks of 500 ms: an owner that cannot be judged is gone after 10 s without a refresh. It refreshes each second, and
 * without a kernel lock gives up 6 s after its last: 4 s are left for its loop and its teardown.
 */
const RULES = { poll: 100, calmPoll: 1_000, lookEvery: 500, staleLooks: 20, orphanLooks: 10 }
const FENCE = 6_000
const RETRY_AFTER_TROUBLE = 1_000
/** ms; a lock can be between two states, in which it is neither free nor can be waited for. */
const BETWEEN_WAKES = 20
/** Begins no name that anybody can give. */
const NOBODYS = '\0'
const REHEARSAL_BOUND = 1_000

/**
 * Waits without bound until this process owns the identity.
 *
 * @returns rejects with the signal's reason, and leaves nothing then.
 * @throws FORKSAFE_ERR_RUNTIME_FOLDER when the runtime folder cannot be used safely.
 */
export const takeMachineLease = async (request: MachineRequest, wait: MachineWait): Promise<MachineHold> => {
  for (;;) {
    wait.signal.throwIfAborted()
    try {
      return await new Attempt(request, wait).take()
    } catch (error) {
      if (wait.signal.aborted) throw wait.signal.reason
      if (error instanceof ForksafeError) throw error
      wait.onTrouble?.(`the lease of ${request.name} cannot be taken: ${messageOf(error)}`)
      await pause(RETRY_AFTER_TROUBLE, { signal: wait.signal, keepsAlive: request.keepsAlive })
    }
  }
}

/** Does ahead what only the first lease needs, so that it is granted fast. */
export const prepareMachineLease = (): void => {
  prepareLockFolder()
  thisHost()
  const { root } = openPlace()
  installId(root)
}

/**
 * Takes a lease that nobody else wants and gives it back, so that no code runs for the first time when others wait.
 *
 * @param details of a lease of this process; only the supervisor and the slot are used. Two processes that would meet at
 *   it do not, or wait: nothing depends on it.
 */
export const rehearseMachineLease = async ({ supervisor, slot }: OwnerDetails): Promise<void> => {
  const identity = `${NOBODYS}${supervisor?.name ?? process.pid} ${slot}`
  const details = { kind: 'task' as const, identity, name: 'rehearsal', origin: null, supervisor, slot }
  const signal = AbortSignal.timeout(REHEARSAL_BOUND)
  const hold = await takeMachineLease({ ...details, keepsAlive: false }, { signal, onLost: () => {} })
  await hold.release()
  rmSync(join(openPlace().leases, keyOf(details)), { recursive: true, force: true })
}

/** One taking, until it is held or the file system refuses. */
class Attempt {
  readonly #request: MachineRequest
  readonly #wait: MachineWait
  readonly #root: string
  readonly #scope: string
  readonly #record: LeaseRecord
  #held: HeldLease | null = null
  #releaseKernelLock: (() => Promise<void>) | null = null
  #isWatching = false
  #wake = (): void => {}
  #woken = Number.NEGATIVE_INFINITY
  #secret = ''

  constructor(request: MachineRequest, wait: MachineWait) {
    this.#request = request
    this.#wait = wait
    const { root, leases } = openPlace()
    const { keepsAlive: _keepsAlive, ...details } = request
    const key = keyOf(request)
    this.#root = root
    this.#scope = `lease ${realpathSync(root)} ${key}`
    this.#record = new LeaseRecord({
      parent: leases,
      folder: join(leases, key),
      details,
      rules: { ...RULES, fence: hasKernelLock() ? null : FENCE, ...wait.rules },
      onStandsBy: (owner) => wait.onStandsBy?.(owner),
      onCompromised: (why) => this.#held?.compromised(why),
      onRefreshed: (gap) => this.#held?.refreshed(gap),
    })
  }

  async take(): Promise<MachineHold> {
    const { signal, onLost } = this.#wait
    const watching = new AbortController()
    try {
      for (;;) {
        const mayTake = await this.#tryKernelLock()
        signal.throwIfAborted()
        const step = this.#record.advance(mayTake)
        if (step.type === 'held') {
          this.#held = new HeldLease({
            epoch: step.epoch,
            record: this.#record,
            fence: hasKernelLock() ? null : (this.#wait.rules?.fence ?? FENCE),
            isStillOurs: () => this.#isKernelLockKnown(),
            releaseKernelLock: this.#releaseKernelLock,
            onLost,
          })
          return this.#held
        }
        await this.#pause(step.type === 'wait' ? step.ms : 0, mayTake, watching.signal)
      }
    } catch (error) {
      this.#record.abandon()
      await this.#releaseKernelLock?.()
      throw error
    } finally {
      watching.abort()
    }
  }

  /** Read each time: where somebody removed the runtime folder there is another secret, and so another lock. */
  async #tryKernelLock(): Promise<boolean> {
    if (!hasKernelLock() || this.#releaseKernelLock !== null) return true
    this.#secret = installId(this.#root)
    this.#releaseKernelLock = await takeKernelLock(this.#scope, this.#secret)
    return this.#releaseKernelLock !== null
  }

  /** Others find it by the secret in the runtime folder; where that was removed it is put back, if nobody was faster. */
  #isKernelLockKnown(): boolean {
    ensureRuntimeFolder(this.#root)
    return installId(this.#root, this.#secret) === this.#secret
  }

  /** Until that time has passed or, without the kernel lock, until that is free. */
  async #pause(ms: number, mayTake: boolean, watching: AbortSignal): Promise<void> {
    const options = { signal: this.#wait.signal, keepsAlive: this.#request.keepsAlive }
    if (mayTake) return await pause(ms, options)
    if (!this.#isWatching) this.#watchKernelLock(watching)
    await pause(ms, {
      ...options,
      onBegin: (wake) => {
        this.#wake = wake
      },
    })
    this.#wake = () => {}
  }

  /** Wakes at once when the kernel lock is free, but not twice in no time: then the next look is soon enough. */
  #watchKernelLock(signal: AbortSignal): void {
    this.#isWatching = true
    const { keepsAlive } = this.#request
    const ended = (answer: 'free' | 'unknown'): void => {
      this.#isWatching = false
      if (answer === 'unknown') return
      const since = performance.now() - this.#woken
      this.#woken = performance.now()
      if (since > BETWEEN_WAKES) this.#wake()
      else setTimeout(() => this.#wake(), BETWEEN_WAKES).unref()
    }
    kernelLockIsFree(this.#scope, this.#secret, { signal, keepsAlive }).then(ended, () => {})
  }
}

/** Of the lock and of the folder of its record. */
const keyOf = ({ kind, identity }: Pick<OwnerDetails, 'kind' | 'identity'>): string =>
  createHash('sha256').update(`${kind}\n${identity}`).digest('hex').slice(0, 32)

/** Checked each time: it costs little, and the folder may have been removed. */
const openPlace = (): { root: string; leases: string } => {
  const root = runtimeFolder(process.env)
  ensureRuntimeFolder(root)
  const leases = join(root, 'leases')
  ensureRuntimeFolder(leases)
  return { root, leases }
}
