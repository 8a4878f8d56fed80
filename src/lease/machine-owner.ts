// Who owns a lease of this machine, as its record tells everybody. What a record says is checked before it is believed;
// where records are, and how they are written: lease-files.ts.

import { isPlainObject } from '../shared/option-values.js'
import type { ProcessIdentity } from '../shared/process-identity.js'
import type { LivingPart } from './owner-life.js'

export type LeaseKind = 'client' | 'task'

export interface MachineOwner extends LivingPart {
  kind: LeaseKind
  /** What is exclusive. */
  identity: string
  /** What the owner calls it. */
  name: string
  /** Where a client connects to: scheme, host and port; null for what has no such thing. */
  origin: string | null
  /** The supervisor of the owner, if it is a worker; it lives in the owner's pid namespace. */
  supervisor: (ProcessIdentity & { name: string }) | null
  slot: number | null
  /** The fencing token. */
  epoch: number
  /** Unix time in ms. */
  since: number
}

/** Null when the text is not a record. */
export const parseOwner = (text: string): MachineOwner | null => {
  try {
    const value: unknown = JSON.parse(text)
    return isOwner(value) ? value : null
  } catch {
    return null
  }
}

const KINDS: readonly unknown[] = ['client', 'task'] satisfies LeaseKind[]

const isOwner = (value: unknown): value is MachineOwner => {
  if (!isPlainObject(value)) return false
  const { kind, identity, name, origin, supervisor, slot, epoch, since, host } = value
  return (
    KINDS.includes(kind) &&
    typeof identity === 'string' &&
    typeof name === 'string' &&
    isTextOrNull(origin) &&
    isProcess(value) &&
    (supervisor === null ||
      (isPlainObject(supervisor) && typeof supervisor.name === 'string' && isProcess(supervisor))) &&
    (slot === null || Number.isSafeInteger(slot)) &&
    Number.isSafeInteger(epoch) &&
    typeof since === 'number' &&
    isPlainObject(host) &&
    typeof host.machine === 'string' &&
    isTextOrNull(host.boot) &&
    isTextOrNull(host.pidNamespace)
  )
}

/** A pid of 0 or below would be a group of processes to kill(2). */
const isProcess = ({ pid, startTime }: Record<string, unknown>): boolean =>
  typeof pid === 'number' &&
  Number.isSafeInteger(pid) &&
  pid > 0 &&
  (startTime === null || Number.isSafeInteger(startTime))

const isTextOrNull = (value: unknown): boolean => value === null || typeof value === 'string'
