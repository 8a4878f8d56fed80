// Whether the owner named by a record still lives, as far as this process can know. Looks at processes, changes nothing;
// what follows from the answer is record-taking.ts.

import { readFileSync, readlinkSync } from 'node:fs'
import { hostname } from 'node:os'
import { isAlive, type ProcessIdentity } from '../shared/process-identity.js'

/** Where pids mean something: the same machine, since the same start, in the same pid namespace. Null: not known. */
export interface Host {
  machine: string
  boot: string | null
  pidNamespace: string | null
}

export interface LivingPart extends ProcessIdentity {
  host: Host
}

/** `unknown`: a pid of another namespace or machine, or one without a start time. */
export type Life = 'alive' | 'dead' | 'unknown'

/** Where this process runs. */
export const thisHost = (): Host => {
  host ??= {
    machine: `${hostname()} ${read('/etc/machine-id') ?? ''}`.trim(),
    boot: read('/proc/sys/kernel/random/boot_id'),
    pidNamespace: link('/proc/self/ns/pid'),
  }
  return host
}

export const lifeOf = ({ host, pid, startTime }: LivingPart, here: Host = thisHost()): Life => {
  if (host.boot !== here.boot) {
    // Another start of this very machine ended every process. Of another machine nothing is known.
    return host.machine === here.machine && host.boot !== null && here.boot !== null ? 'dead' : 'unknown'
  }
  if (host.boot === null && host.machine !== here.machine) return 'unknown'
  if (host.pidNamespace !== here.pidNamespace) return 'unknown'
  if (!isAlive({ pid, startTime })) return 'dead'
  // A living pid without a start time may be another process by now.
  return startTime === null ? 'unknown' : 'alive'
}

let host: Host | undefined

const read = (path: string): string | null => {
  try {
    return readFileSync(path, 'utf8').trim() || null
  } catch {
    return null
  }
}

const link = (path: string): string | null => {
  try {
    return readlinkSync(path)
  } catch {
    return null
  }
}
