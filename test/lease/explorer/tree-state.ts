// A world of workers under one primary, as plain data: what there is, how it begins, and which states are the same. What
// can happen in it is tree-world.ts.

import type { ArbiterEvent } from '../../../src/lease/arbiter-events.js'
import { type ArbiterState, emptyArbiter } from '../../../src/lease/arbiter-state.js'
import { type ClaimState, newClaimState } from '../../../src/lease/claim.js'
import { type Cores, REAL_CORES } from '../simulation/cores.js'

export type TreeMutation =
  | 'granted when the channel breaks'
  | 'released before it is closed'
  | 'exit is not awaited'

export type TreeFault = 'kill' | 'stop' | 'cut' | 'late' | 'silent' | 'refuse'

export interface TreeBound {
  /** Generation of each worker. */
  generations: number[]
  /** What is done, each once at any moment. `try` is followed by `keep` or `give back`. */
  acts: (
    | 'try the last'
    | 'hand over to the last'
    | 'hand over'
    | 'the first leaves'
    | 'the first withdraws'
  )[]
  faults: TreeFault[]
  mostFaults: number
  mutation?: TreeMutation
  cores?: Cores
}

export type ToPrimary =
  | { type: 'claimed' }
  | { type: 'released'; grant: number; isSuperseded: boolean }
  | { type: 'opened' | 'failed'; grant: number }
  | { type: 'withdrawn' }

export type ToWorker =
  | { type: 'granted'; grant: number }
  | { type: 'revoked'; grant: number }
  | { type: 'leave' }

export interface WorkerState {
  life: 'runs' | 'stopped' | 'dead'
  /** Its end has come to the primary. */
  isGone: boolean
  isKilled: boolean
  isCut: boolean
  isLeaving: boolean
  claim: ClaimState
  machine: 'idle' | 'taking' | 'freeing'
  mayDial: boolean
  /** What it knows of its connection; `came` and `went`: there is news that it has not read. */
  connection: 'none' | 'dialling' | 'came' | 'open' | 'closing' | 'went'
  fence: 'fine' | 'passed' | 'late'
  toWorker: ToWorker[]
  toPrimary: ToPrimary[]
}

export interface TreeState {
  arbiter: ArbiterState
  workers: WorkerState[]
  /** On their way to the upstream, in order. */
  wire: { worker: number; what: 'dial' | 'close' | 'reset' }[]
  counted: boolean[]
  acts: string[]
  left: number
  request: 'none' | 'waits' | 'answered'
  trial: 'none' | 'waits' | 'answered'
  broken: string | null
}

export const LEASE = 'client feed'
export const NAMES = ['A', 'B', 'C']

export const initialState = ({ generations, acts, mostFaults, cores = REAL_CORES }: TreeBound): TreeState => {
  const arbiter = new cores.LeaseArbiter(emptyArbiter())
  for (const [claimant, generation] of generations.entries())
    arbiter.handle({ type: 'joined', claimant, generation }, 0)
  return {
    arbiter: arbiter.state,
    workers: generations.map(() => ({
      ...{ life: 'runs', isGone: false, isKilled: false, isCut: false, isLeaving: false, machine: 'idle' },
      ...{ mayDial: false, connection: 'none', fence: 'fine', toWorker: [] },
      toPrimary: [{ type: 'claimed' }],
      claim: newClaimState(),
    })),
    ...{ wire: [], counted: generations.map(() => false), acts, left: mostFaults },
    ...{ request: 'none', trial: 'none', broken: null },
  }
}

export const workerOf = (state: TreeState, index: number): WorkerState => {
  const worker = state.workers[index]
  if (worker === undefined) throw new Error(`there is no worker ${index}`)
  return worker
}

export const send = (worker: WorkerState, message: ToPrimary): void => {
  if (!worker.isCut) worker.toPrimary.push(message)
}

export const tell = (worker: WorkerState, message: ToWorker): void => {
  if (!worker.isCut && worker.life !== 'dead') worker.toWorker.push(message)
}

export const die = (index: number, state: TreeState): void => {
  const own = workerOf(state, index)
  if (own.connection !== 'none') state.wire.push({ worker: index, what: 'reset' })
  Object.assign(own, {
    life: 'dead',
    connection: 'none',
    mayDial: false,
    machine: 'idle',
    toWorker: [],
    fence: 'fine',
  })
  own.claim = newClaimState()
}

export const toEvent = (claimant: number, message: ToPrimary): ArbiterEvent => {
  const of = { claimant, claim: 1 }
  switch (message.type) {
    case 'claimed':
      return { type: 'claimed', ...of, lease: LEASE }
    case 'withdrawn':
      return { type: 'withdrawn', ...of }
    case 'released':
      return { ...message, ...of }
    case 'opened':
      return { type: 'opened', grant: message.grant, ...of }
    case 'failed':
      return { type: 'failed', grant: message.grant, why: 'lost', ...of }
  }
}

export const copyState = (state: TreeState): TreeState => ({
  ...state,
  arbiter: copyArbiter(state.arbiter),
  workers: state.workers.map((worker) => ({
    ...worker,
    claim: { ...worker.claim },
    toWorker: worker.toWorker.map((message) => ({ ...message })),
    toPrimary: worker.toPrimary.map((message) => ({ ...message })),
  })),
  wire: [...state.wire],
  counted: [...state.counted],
  acts: [...state.acts],
})

const copyArbiter = (arbiter: ArbiterState): ArbiterState => {
  const copy: ArbiterState = { ...arbiter, claimants: {}, leases: {} }
  for (const number in arbiter.claimants) {
    const claimant = arbiter.claimants[number]
    if (claimant !== undefined) copy.claimants[number] = { ...claimant }
  }
  for (const [name, lease] of Object.entries(arbiter.leases))
    copy.leases[name] = {
      ...lease,
      claims: lease.claims.map((claim) => ({ ...claim })),
      holder: lease.holder && { ...lease.holder },
      move: lease.move && { ...lease.move },
    }
  return copy
}

/** Times are all the same, and of the numbers of grants only the order matters. */
export const normalise = (state: TreeState): void => {
  const { arbiter, workers } = state
  const lease = arbiter.leases[LEASE]
  const grants = [arbiter.lastGrant, lease?.holder?.grant, ...workers.map(({ claim }) => claim.grant)]
  for (const { toWorker, toPrimary } of workers)
    for (const message of [...toWorker, ...toPrimary]) if ('grant' in message) grants.push(message.grant)
  const known = [...new Set(grants.flatMap((grant) => (grant == null ? [] : [grant])))].sort((a, b) => a - b)
  const renumber = (grant: number): number => known.indexOf(grant)
  arbiter.lastGrant = renumber(arbiter.lastGrant)
  arbiter.dueAt = null
  for (const claimant of Object.values(arbiter.claimants)) claimant.heardAt = 0
  if (lease !== undefined) {
    Object.assign(lease, { freeSince: null, lastHolder: null })
    if (lease.move !== null) {
      if (lease.move.openBy !== null) lease.move.openBy = 60_000
      if (lease.move.failure !== null) lease.move.failure = 'failed'
    }
    const { holder } = lease
    if (holder !== null) {
      holder.grant = renumber(holder.grant)
      holder.grantedAt = 0
      if (holder.goneBy !== null) holder.goneBy = 7_000
    }
  }
  for (const { claim, toWorker, toPrimary } of workers) {
    if (claim.grant !== null) claim.grant = renumber(claim.grant)
    for (const message of [...toWorker, ...toPrimary])
      if ('grant' in message) message.grant = renumber(message.grant)
  }
}
