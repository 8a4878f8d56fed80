// The record of an identity, taken, held and given back: does what record-taking.ts decides, on the files of
// lease-files.ts. When to look again, and the kernel lock beside it, are machine-lease.ts.

import { mkdirSync } from 'node:fs'
import { errnoOf } from '../shared/config-file.js'
import { type ProcessIdentity, processIdentity, signalProcess } from '../shared/process-identity.js'
import { ensureRuntimeFolder } from '../shared/runtime-folder.js'
import {
  clearBelow,
  type FoundEntry,
  fingerprint,
  lockPath,
  markReleased,
  scanEntries,
  writeOwner,
} from './lease-files.js'
import { type LockFolder, takeLockFolder } from './lock-folder.js'
import type { MachineOwner } from './machine-owner.js'
import { type Host, thisHost } from './owner-life.js'
import { RecordTaking } from './record-taking.js'
import type { TakingEffect, TakingEvent, TakingRules } from './taking-steps.js'

/** What its owner says of itself; the rest of a record follows from the process and the taking. */
export type OwnerDetails = Omit<MachineOwner, 'pid' | 'startTime' | 'host' | 'epoch' | 'since'>

export interface LeaseRecordOptions {
  /** The runtime folder's folder of all records, and in it the one of this record. */
  parent: string
  folder: string
  details: OwnerDetails
  rules: Omit<TakingRules, 'self'>
  /** Whom we wait for; null: not known. */
  onStandsBy: (owner: MachineOwner | null) => void
  onCompromised: (why: string) => void
  /** So many ms after the one before; told for the making too, when nothing is held yet. */
  onRefreshed: (gap: number) => void
}

export type TakingStep = { type: 'held'; epoch: number } | { type: 'wait'; ms: number } | { type: 'ended' }

export class LeaseRecord {
  readonly #options: LeaseRecordOptions
  readonly #taking: RecordTaking
  readonly #self: MachineOwner
  #lockFolder: LockFolder | null = null
  #entries: readonly FoundEntry[] = []
  #next: TakingEvent = { type: 'started' }
  #refreshed = 0

  constructor(options: LeaseRecordOptions) {
    this.#options = options
    this.#self = { ...options.details, ...ownIdentity(), epoch: 0, since: 0 }
    this.#taking = new RecordTaking({ ...options.rules, self: fingerprint(this.#self) })
  }

  /** When the last refresh that worked had begun, as `performance.now()`. */
  get refreshed(): number {
    return this.#refreshed
  }

  /**
   * Goes on until the record is held, or there is nothing to do but to wait. To be called again after that time.
   *
   * @param mayTake whether the kernel lock is ours, or there is none; without it this only looks.
   * @throws what the file system throws; nothing of ours is left then, and the record is of no more use.
   */
  advance(mayTake: boolean): TakingStep {
    try {
      return this.#run(this.#next, mayTake)
    } catch (error) {
      this.abandon()
      throw error
    }
  }

  /** Withdraws whatever is ours of a taking that is not over. */
  abandon(): void {
    this.#run({ type: 'abandoned' }, false)
  }

  /**
   * Makes the record of a held lease anew when it was damaged.
   *
   * @returns false when another process has made one meanwhile.
   */
  restore(): boolean {
    const { folder } = this.#options
    if (this.isTaken()) return false
    this.#lockFolder?.release()
    this.#lockFolder = this.#make(this.#self.epoch)
    if (this.#lockFolder === null) return false
    writeOwner(folder, this.#self)
    return !this.isTaken()
  }

  /** Whether another process has taken the record although we did not give it back. */
  isTaken(): boolean {
    return scanEntries(this.#options.folder).some((entry) => this.#isForeign(entry))
  }

  /**
   * Gives the record back: it is free when this returns.
   *
   * @param isAwaited whether somebody waits for it: then what is left, which says nothing any more, is removed a turn
   *   later. On a busy disk that takes longer than all the rest.
   * @throws when it could not be marked, as on a read-only file system: others still see it as ours.
   */
  release(isAwaited: boolean): void {
    markReleased(this.#options.folder, this.#self.epoch)
    const lockFolder = this.#lockFolder
    this.#lockFolder = null
    if (isAwaited) setImmediate(() => lockFolder?.release())
    else lockFolder?.release()
  }

  #run(first: TakingEvent, mayTake: boolean): TakingStep {
    let event = first
    for (;;) {
      const effects = this.#taking.handle(event)
      const last = effects.pop()
      for (const effect of effects) this.#tell(effect)
      if (last === undefined) return { type: 'ended' }
      const outcome = this.#perform(last, mayTake)
      if (outcome.type === 'held' || outcome.type === 'wait' || outcome.type === 'ended') return outcome
      event = outcome
    }
  }

  #tell(effect: TakingEffect): void {
    if (effect.type === 'standsBy') this.#options.onStandsBy(this.#holderOf(effect.n))
    if (effect.type === 'kill') {
      const owner = this.#holderOf(effect.n)
      if (owner !== null) signalProcess(owner, 'SIGKILL')
    }
  }

  #perform(effect: TakingEffect, mayTake: boolean): TakingEvent | TakingStep {
    const { folder } = this.#options
    switch (effect.type) {
      case 'scan':
        this.#entries = scanEntries(folder)
        return {
          type: 'scanned',
          entries: this.#entries,
          mayTake,
          now: performance.now(),
          seconds: Math.floor(Date.now() / 1_000),
        }
      case 'make': {
        const began = performance.now()
        this.#lockFolder = this.#make(effect.n)
        return this.#lockFolder === null ? { type: 'exists' } : { type: 'made', began }
      }
      case 'write':
        this.#self.epoch = effect.n
        this.#self.since = Date.now()
        writeOwner(folder, this.#self)
        return { type: 'written' }
      case 'withdraw':
        this.#withdraw(effect.n)
        return { type: 'withdrawn' }
      case 'wait':
        this.#next = { type: 'waited' }
        return { type: 'wait', ms: effect.isRandom ? 2 * effect.ms * Math.random() : effect.ms }
      case 'held':
        clearBelow(folder, effect.n)
        return { type: 'held', epoch: effect.n }
      default:
        return { type: 'ended' }
    }
  }

  #make(n: number): LockFolder | null {
    const { folder, parent, onCompromised, onRefreshed } = this.#options
    const make = (): LockFolder | null =>
      takeLockFolder(lockPath(folder, n), {
        onRefreshed: (began) => {
          const gap = began - this.#refreshed
          this.#refreshed = began
          onRefreshed(gap)
        },
        onCompromised,
      })
    try {
      return make()
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') throw error
      ensureRuntimeFolder(parent)
      mkdirSync(folder, { mode: 0o700, recursive: true })
      return make()
    }
  }

  /** A file system that refuses even that has let us write nothing either: the lock folder goes stale by itself. */
  #withdraw(n: number): void {
    try {
      if (this.#self.epoch === n) markReleased(this.#options.folder, n)
    } catch {}
    this.#lockFolder?.release()
    this.#lockFolder = null
  }

  /** Whatever is above our number; somebody else at it; an owner below it, who began anew when all was removed. */
  #isForeign({ n, record, life, owner }: FoundEntry): boolean {
    const { epoch } = this.#self
    if (n > epoch) return true
    if (n < epoch) return record === 'owned' && life !== 'dead'
    return record === 'released' || (record === 'owned' && owner !== fingerprint(this.#self))
  }

  #holderOf(n: number | null): MachineOwner | null {
    return this.#entries.find((entry) => entry.n === n)?.holder ?? null
  }
}

const ownIdentity = (): ProcessIdentity & { host: Host } => {
  identity ??= processIdentity(process.pid)
  return { ...identity, host: thisHost() }
}

let identity: ProcessIdentity | undefined
