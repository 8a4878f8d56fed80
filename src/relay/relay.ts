// The relay in one of its workers: it stands in line for the spools, is their owner while it holds the lease, and otherwise
// passes what it is given to the owner. The ingress sees one door (door.ts) and not which of the two it is.

import { createHash } from 'node:crypto'
import { mkdirSync, realpathSync } from 'node:fs'
import type { GuardedClientOptions } from '../client/client-options.js'
import { messageOf } from '../shared/errors.js'
import type { LogLevel } from '../shared/log-level.js'
import type { RelaySettings } from '../shared/relay-settings.js'
import { settledWithin } from '../shared/settled-within.js'
import { type Desk, openDesk } from './desk.js'
import type { RelayDoor } from './door.js'
import type { AppendOutcome, Fate, NewMessage } from './messages.js'
import { type LineStatus, Owner, type OwnerDeps } from './owner.js'
import type { RelayClient } from './relay-client.js'
import { RemoteDoor } from './remote-door.js'
import type { Spool, SpoolLimits } from './spool.js'

export interface RelayDeps {
  settings: RelaySettings
  /** Path of the desk's socket. */
  deskPath: string
  /** `exclusive()` of src/worker/exclusive.ts. */
  exclusive: (
    name: string,
    fn: (run: { signal: AbortSignal; epoch: number }) => Promise<void>,
    options: { signal: AbortSignal },
  ) => Promise<void>
  createClient: (name: string, options: GuardedClientOptions) => RelayClient
  openSpool: (folder: string, limits: SpoolLimits) => Promise<Spool>
  log: (level: LogLevel, text: string) => void
  /** For tests. */
  forwarding?: OwnerDeps['forwarding']
}

export interface RelayStatus {
  isOwner: boolean
  /** Of the owner; empty elsewhere. */
  clients: LineStatus[]
}

/** ms between attempts to own a spool that cannot be opened. */
const FIRST_PAUSE = 500
const LONGEST_PAUSE = 15_000
const DEFAULT_STOP = 10_000

export class Relay implements RelayDoor {
  readonly #deps: RelayDeps
  readonly #remote: RemoteDoor
  readonly #leave = new AbortController()
  /** Takes this process out of the line; whoever owns lets go in its own time. */
  readonly #line = new AbortController()
  #isServed = false
  #owner: Owner | null = null
  #life: Promise<void> = Promise.resolve()
  #stopTimeout = DEFAULT_STOP
  #isDraining = false

  constructor(deps: RelayDeps) {
    this.#deps = deps
    const { deskPath, settings } = deps
    const { ownerTimeout, to } = settings
    this.#remote = new RemoteDoor({ deskPath, ownerTimeout, clients: to.map(({ name }) => name) })
  }

  get isOwner(): boolean {
    return this.#owner !== null
  }

  status(): RelayStatus {
    return { isOwner: this.isOwner, clients: this.#owner?.status() ?? [] }
  }

  /** Stands in line for the spools from here on. */
  start(): void {
    this.#life = this.#live()
  }

  /** Whoever waits in `settled()` is answered at once from here on; messages are still taken. */
  beginDrain(): void {
    this.#isDraining = true
    this.#remote.beginDrain()
    this.#owner?.beginDrain()
  }

  /**
   * Takes no more; as the owner waits for the receipts of what is in flight, closes clients and spools and gives the lease
   * to the next. Settles within `timeout` ms, about; what was not sent stays in the spool.
   */
  async stop({ timeout }: { timeout: number }): Promise<void> {
    this.beginDrain()
    this.#stopTimeout = timeout
    this.#leave.abort()
    if (!this.#isServed) this.#line.abort()
    const isOver = await settledWithin(this.#life, timeout + 1_000)
    if (!isOver) this.#deps.log('error', `the relay did not stop within ${timeout} ms`)
    this.#remote.close()
  }

  // --- The door -------------------------------------------------------------------------------------------------

  has(client: string): boolean {
    return this.#remote.has(client)
  }

  append(client: string, messages: readonly NewMessage[]): Promise<AppendOutcome[]> {
    return (this.#owner ?? this.#remote).append(client, messages)
  }

  fate(client: string, id: string): Promise<Fate | null> {
    return (this.#owner ?? this.#remote).fate(client, id)
  }

  settled(client: string, id: string, signal: AbortSignal): Promise<Fate | null> {
    return (this.#owner ?? this.#remote).settled(client, id, signal)
  }

  // --- The lease ------------------------------------------------------------------------------------------------

  async #live(): Promise<void> {
    const { settings, exclusive, log } = this.#deps
    const leave = this.#leave.signal
    // Out of the line; whoever has the lease gives it back when all is closed.
    const standing = new AbortController()
    const stopStanding = (): void => standing.abort()
    leave.addEventListener('abort', stopStanding)
    for (let pause = FIRST_PAUSE; !leave.aborted; pause = Math.min(2 * pause, LONGEST_PAUSE)) {
      try {
        await exclusive(
          leaseName(settings.spool),
          async ({ signal }) => {
            this.#isServed = true
            await this.#own(signal)
            pause = FIRST_PAUSE
          },
          { signal: this.#line.signal },
        )
      } catch (error) {
        if (!leave.aborted) log('error', `spool ${settings.spool}: ${messageOf(error)}`)
      }
      this.#isServed = false
      leave.addEventListener('abort', stopStanding)
      await untilAborted(leave, pause)
    }
    leave.removeEventListener('abort', stopStanding)
  }

  /** Settles when the spools are closed: the next process may open them then. */
  async #own(lease: AbortSignal): Promise<void> {
    const { settings, deskPath, log } = this.#deps
    const owner = await Owner.open(this.#deps)
    let desk: Desk | null = null
    // In the same turn as the lease is lost: nothing is accepted after that.
    const onLost = (): void => {
      if (!this.#leave.signal.aborted) void owner.abandon()
    }
    try {
      if (lease.aborted) return
      lease.addEventListener('abort', onLost)
      desk = await openDesk(deskPath, owner)
      if (this.#isDraining) owner.beginDrain()
      this.#owner = owner
      log('info', `this worker owns spool ${settings.spool}`)
      await untilAborted(AbortSignal.any([lease, this.#leave.signal]))
    } finally {
      lease.removeEventListener('abort', onLost)
      // Callers of this process come through the next owner's desk from here on.
      this.#owner = null
      await this.#letGo(owner, desk, lease)
    }
  }

  async #letGo(owner: Owner, desk: Desk | null, lease: AbortSignal): Promise<void> {
    const isOrderly = this.#leave.signal.aborted
    const timeout = this.#stopTimeout
    // First the desk: what it has is answered by spools that are open.
    await desk?.close({ timeout: isOrderly ? timeout / 4 : 0 })
    if (isOrderly && !lease.aborted) await owner.close({ timeout: timeout / 2 })
    else await owner.abandon()
  }
}

/** What owning is exclusive by: the folder itself, whatever it is called. */
const leaseName = (folder: string): string => {
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const name = `relay spool ${realpathSync(folder)}`
  return name.length <= LONGEST_NAME ? name : `relay spool ${createHash('sha256').update(name).digest('hex')}`
}

const LONGEST_NAME = 200

/** Settles when it is aborted, or after `ms`. */
const untilAborted = (signal: AbortSignal, ms?: number): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) return resolve()
    let timer: NodeJS.Timeout | undefined
    const done = (): void => {
      clearTimeout(timer)
      signal.removeEventListener('abort', done)
      resolve()
    }
    if (ms !== undefined) timer = setTimeout(done, ms)
    signal.addEventListener('abort', done)
  })
