// How a client, or exclusive(), gets a lease: who knows of leases puts a provider in place. The runtime of a supervised
// worker does (src/worker/tree-leases.ts), elsewhere the root export (src/worker/own-leases.ts). `forksafe/client` alone
// has none. It lives under a registered symbol, because the application may import another copy of the package.

export interface LeaseRequest {
  /** `client`: an upstream connection. `task`: work that one process does at a time. Their identities are apart. */
  readonly kind: 'client' | 'task'
  /** What is exclusive. */
  readonly identity: string
  /** Of the client or the task, for people. */
  readonly name: string
  /** Scheme, host and port of the upstream: two services that share an identity by accident differ in it. */
  readonly origin: string | null
}

/** Who holds a lease, as far as it is known. */
export interface LeaseOwner {
  readonly pid: number
  /** Name of its supervisor; null: a program without one. */
  readonly supervisor: string | null
  readonly slot: number | null
  /** The fencing token; null: not known. */
  readonly epoch: number | null
  /** Unix time in ms. */
  readonly since: number | null
  readonly origin: string | null
  /** Whether it is a worker of our own primary, to which messages can be handed. */
  readonly isOurs: boolean
}

/** Between a standby and the holder, within one tree. What goes over it arrives in order, or the link ends. */
export interface LeaseLink {
  readonly id: number
  /** @param payload a JSON value. */
  send(payload: unknown): void
}

/** What is told to whoever claims a lease; never before the call that claims it has returned. */
export interface LeaseListener {
  /** It may be used from now on. `epoch`: larger than that of every holder before. */
  granted(epoch: number): void
  /** Close what it protects within `budget` ms, then `letGo()` or `end()`. */
  revoked(why: string, budget: number): void
  /** It may not be used any more: what it protects is destroyed before this returns, then `letGo()` or `end()`. */
  lost(why: string): void
  /** Whom we wait for has changed. */
  standsBy(owner: LeaseOwner | null): void
  /** A link to the holder, or, for the holder, from a standby. */
  linkOpened(link: LeaseLink): void
  linkReceived(link: LeaseLink, payload: unknown): void
  linkClosed(link: LeaseLink): void
  /** Nobody who leaves together with this process still needs what it holds. */
  mayLeave(): void
  /** Nobody will grant anything any more, and no link will open: the primary is gone. */
  orphaned(): void
}

export interface LeaseClaim {
  /** Whether it may be used at this very moment; if that has just ended, `lost` was called. To be asked before each use. */
  isHeld(): boolean
  /** What it protects is open: standbys may use it. */
  opened(): void
  /** It could not be opened, or has ended. */
  failed(why: string): void
  /** To every standby at once. */
  broadcast(payload: unknown): void
  /** Takes nothing more from standbys. */
  closeLinks(): void
  /** What it protects is gone: the next one may be granted. `isSuperseded`: nobody, before somebody insists. */
  letGo(isSuperseded: boolean): void
  /** The same, and we are out of the line. Settles when others may be granted. */
  end(): Promise<void>
  /** This process is leaving and still has something to deliver. */
  need(): void
  /** Somebody wants it although another session took our place. */
  insist(): void
  /** This process leaves, and would end what it holds: answered by `mayLeave`, without a bound. */
  askToLeave(): void
}

export interface LeaseProvider {
  /**
   * What is held here goes from process to process while others wait for it: what makes that quick is to be done before,
   * and nothing is handed to this process until it is.
   */
  prepare?(work: () => Promise<void>): void
  claim(request: LeaseRequest, listener: LeaseListener): LeaseClaim
}

const KEY = Symbol.for('forksafe.leases.v1')

const holder = globalThis as { [KEY]?: LeaseProvider | undefined }

/** Puts the provider in place; returns the function that takes it away. */
export const setLeaseProvider = (provider: LeaseProvider): (() => void) => {
  holder[KEY] = provider
  return () => {
    if (holder[KEY] === provider) holder[KEY] = undefined
  }
}

export const leaseProvider = (): LeaseProvider | undefined => holder[KEY]
