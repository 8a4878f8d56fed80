// Which worker stands in line for what, as the primary knows it from what they said. Who is granted is the arbiter's
// decision (src/lease/arbiter.ts); who asks it is lease-desk.ts.

import type { LeaseRef } from '../shared/progress.js'

/** What a worker stands in line for. */
export interface ClaimRecord extends LeaseRef {
  readonly worker: number
  /** The worker's own number for it. */
  readonly claim: number
  /** What is claimed, as the arbiter names it. */
  readonly lease: string
  readonly name: string
  readonly origin: string | null
  /** While it holds it: the machine's number, and since when. */
  held: { epoch: number; since: number } | null
  /** Whether it takes messages of standbys: from when it is open until it says that it takes no more. */
  isShared: boolean
  /** Whom it was told to wait for, last. */
  told: string
  /** It would end what it holds, because its process leaves. */
  wouldLeave: boolean
}

export class LeaseClaims {
  readonly #records = new Map<string, ClaimRecord>()

  add(claim: Pick<ClaimRecord, 'worker' | 'claim' | 'kind' | 'identity' | 'name' | 'origin'>): ClaimRecord {
    const record: ClaimRecord = {
      ...claim,
      lease: leaseName(claim),
      held: null,
      isShared: false,
      told: '',
      wouldLeave: false,
    }
    this.#records.set(keyOf(claim.worker, claim.claim), record)
    return record
  }

  get(worker: number, claim: number): ClaimRecord | undefined {
    return this.#records.get(keyOf(worker, claim))
  }

  remove({ worker, claim }: ClaimRecord): void {
    this.#records.delete(keyOf(worker, claim))
  }

  get all(): ClaimRecord[] {
    return [...this.#records.values()]
  }

  ofWorker(worker: number): ClaimRecord[] {
    return this.all.filter((record) => record.worker === worker)
  }

  /** In the order in which they came. */
  forLease(lease: string): ClaimRecord[] {
    return this.all.filter((record) => record.lease === lease)
  }
}

const leaseName = ({ kind, identity }: LeaseRef): string => `${kind} ${identity}`

/** The opposite of how a lease is named. */
export const leaseRefOf = (lease: string): LeaseRef => {
  const space = lease.indexOf(' ')
  return { kind: lease.slice(0, space) === 'task' ? 'task' : 'client', identity: lease.slice(space + 1) }
}

const keyOf = (worker: number, claim: number): string => `${worker}.${claim}`
