// What this process holds open towards the outside, so that whoever ends or forks the process can close it.
// A registry and nothing else: guarded clients and protected resources register here; the fork window (src/fork) and the
// worker's drain (src/worker) close what is in it, in the order of closing-order.ts. It lives under a registered symbol, so
// two copies of the package share one.

import type { LeaseOwner } from './lease-provider.js'

/** How a guarded client or a protected resource appears in `supervisor status --json`. Part of the stable contract. */
export interface ClientReport {
  /** `task`: work that `exclusive()` does. Without it: a guarded client or a protected resource. */
  kind?: 'task'
  name: string
  identity: string
  state: string
  role: 'own' | 'holder' | 'standby'
  /** Of an exclusive client the epoch of the lease, its own or the holder's; else the number of the attempt. */
  epoch: number
  pending: number
  confirmed: number
  reconnects: number
  /** Of an exclusive client: who holds the connection, as far as is known, if this process does not. */
  owner?: LeaseOwner | null
}

/** Something with an owner process: it is closed before the process forks, drains or ends. */
export interface Resource {
  readonly name: string
  /** Whether what was opened after it may use it, and is therefore closed before it. */
  readonly isUsedByOthers?: boolean
  /** Whether it uses what is open, whenever that was opened: it is ended before everything else. */
  readonly isWork?: boolean
  /** Whether it has been asked to be open: open, connecting, or waiting to reconnect. */
  isWanted(): boolean
  /** Whether it is usable now (for a client: state `open`). */
  isOpen(): boolean
  /** Whether it is exclusive, and another process is known to hold it. */
  isStandingBy?(): boolean
  report(): ClientReport
  /** Closes for a fork window and settles when it is gone; rejects where it is not, and cannot be destroyed, in `timeout` ms. */
  suspend(options: { timeout: number }): Promise<void>
  /** Ends a suspension: opens again exactly if it was wanted before. */
  resume(): void
  /** Stops intake, flushes, closes for good. Settles within `timeout` ms, in every state and against every peer. */
  shutDown(options: { timeout: number }): Promise<void>
  /** Last words on process exit: whatever can be written synchronously (a Close frame). Never throws. */
  closeSync(): void
}

type ChangeListener = (resource: Resource) => void

interface Registry {
  /** In order of registration. */
  readonly resources: Set<Resource>
  /** Those that have ever been open, in the order of their first opening: coming back changes nothing in who uses whom. */
  readonly opened: Set<Resource>
  readonly listeners: Set<ChangeListener>
}

const KEY = Symbol.for('forksafe.resources.v1')

const registry = (): Registry => {
  const holder = globalThis as { [KEY]?: Registry }
  holder[KEY] ??= { resources: new Set(), opened: new Set(), listeners: new Set() }
  return holder[KEY]
}

/** Adds a resource and tells the listeners; returns the function that removes it. */
export const registerResource = (resource: Resource): (() => void) => {
  registry().resources.add(resource)
  resourceChanged(resource)
  return () => {
    registry().opened.delete(resource)
    if (registry().resources.delete(resource)) resourceChanged(resource)
  }
}

/**
 * All resources of this process in the order in which they are closed: work that uses the others, then the one that was
 * opened last first. What has never been open stands before them: it has nothing to close.
 */
export const resourcesNewestFirst = (): Resource[] => {
  const { resources, opened } = registry()
  const neverOpened = [...resources].filter((resource) => !opened.has(resource))
  const newestFirst = [...opened, ...neverOpened].reverse()
  const isWork = ({ isWork = false }: Resource): boolean => isWork
  return [...newestFirst.filter(isWork), ...newestFirst.filter((resource) => !isWork(resource))]
}

/** To be called by a resource whenever what `isWanted`, `isOpen` or `report` answers has changed. */
export const resourceChanged = (resource: Resource): void => {
  const { resources, opened, listeners } = registry()
  if (resources.has(resource) && resource.isOpen()) opened.add(resource)
  for (const listener of listeners) listener(resource)
}

/** Listens to registrations, removals and changes of state; returns the function that stops listening. */
export const onResourceChange = (listener: ChangeListener): (() => void) => {
  registry().listeners.add(listener)
  return () => void registry().listeners.delete(listener)
}
