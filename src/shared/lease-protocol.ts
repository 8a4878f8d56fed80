// What a worker and its primary say to each other about leases, carried in messages of protocol.ts. Who decides is
// src/lease/arbiter.ts, in the primary (src/primary/lease-desk.ts); the worker's side is src/worker/tree-leases.ts.

import type { LeaseOwner } from './lease-provider.js'

/** Most leases that one worker may stand in line for. */
export const MAX_CLAIMS = 1_000

export type WorkerLeaseMessage =
  /** Stands in line. It is a heartbeat too, number `renewal`. */
  | {
      do: 'claim'
      claim: number
      kind: 'client' | 'task'
      identity: string
      name: string
      origin: string | null
      renewal: number
    }
  | { do: 'renew'; renewal: number }
  /** Out of the line; whatever was granted is given back. */
  | { do: 'withdraw'; claim: number }
  | { do: 'release'; claim: number; grant: number; isSuperseded: boolean }
  | { do: 'opened'; claim: number; grant: number; epoch: number }
  | { do: 'failed'; claim: number; grant: number; why: string }
  /** Granted by the primary, and held by a process outside. */
  | { do: 'blocked'; claim: number; grant: number; owner: LeaseOwner }
  | { do: 'need'; claim: number }
  | { do: 'insist'; claim: number }
  | { do: 'askToLeave'; claim: number }
  | { do: 'linkData'; claim: number; link: number; payload: unknown }
  | { do: 'broadcast'; claim: number; payload: unknown }
  | { do: 'closeLinks'; claim: number }

export type PrimaryLeaseMessage =
  | { do: 'renewed'; renewal: number }
  /** `mayDial`: the dial that follows has had its turn, and need not ask for one. */
  | { do: 'grant'; claim: number; grant: number; mayDial: boolean }
  | { do: 'revoke'; claim: number; grant: number; why: string; budget: number }
  /** Who holds what is claimed. */
  | { do: 'owner'; claim: number; owner: LeaseOwner | null }
  | { do: 'mayLeave'; claim: number }
  | { do: 'linkOpened'; claim: number; link: number }
  | { do: 'linkData'; claim: number; link: number; payload: unknown }
  | { do: 'linkClosed'; claim: number; link: number }

/** Whether what a worker sent has the right shape; what is in a payload is the affair of whoever gets it. */
export const isWorkerLeaseMessage = (value: unknown): value is WorkerLeaseMessage => {
  if (!isObject(value) || typeof value.do !== 'string' || !Object.hasOwn(SHAPES, value.do)) return false
  return SHAPES[value.do as WorkerLeaseMessage['do']](value)
}

type Fields = Record<string, unknown>

const isObject = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
const isText = (value: unknown): boolean => typeof value === 'string' && value.length <= 1_024
const isNumber = (value: unknown): boolean => Number.isSafeInteger(value)
const isGrant = ({ claim, grant }: Fields): boolean => isNumber(claim) && isNumber(grant)
const orNull = (isRight: (value: unknown) => boolean, value: unknown): boolean =>
  value === null || isRight(value)

const isOwner = (value: unknown): boolean =>
  isObject(value) &&
  isNumber(value.pid) &&
  orNull(isText, value.supervisor) &&
  orNull(isNumber, value.slot) &&
  orNull(isNumber, value.epoch) &&
  orNull(isNumber, value.since) &&
  orNull(isText, value.origin)

const SHAPES: Record<WorkerLeaseMessage['do'], (fields: Fields) => boolean> = {
  claim: ({ claim, kind, identity, name, origin, renewal }) =>
    isNumber(claim) &&
    (kind === 'client' || kind === 'task') &&
    isText(identity) &&
    isText(name) &&
    orNull(isText, origin) &&
    isNumber(renewal),
  renew: ({ renewal }) => isNumber(renewal),
  withdraw: ({ claim }) => isNumber(claim),
  release: (fields) => isGrant(fields) && typeof fields.isSuperseded === 'boolean',
  opened: (fields) => isGrant(fields) && isNumber(fields.epoch),
  failed: (fields) => isGrant(fields) && typeof fields.why === 'string',
  blocked: (fields) => isGrant(fields) && isOwner(fields.owner),
  need: ({ claim }) => isNumber(claim),
  insist: ({ claim }) => isNumber(claim),
  askToLeave: ({ claim }) => isNumber(claim),
  linkData: ({ claim, link }) => isNumber(claim) && isNumber(link),
  broadcast: ({ claim }) => isNumber(claim),
  closeLinks: ({ claim }) => isNumber(claim),
}
