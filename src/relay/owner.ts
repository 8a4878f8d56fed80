// The one process that has the spools open: it accepts, forwards, and answers what became of a message. It lives as long
// as the lease (src/relay/relay.ts); who reaches it from another process comes through the desk.

import { setMaxListeners } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { ConnectionTls, GuardedClientOptions } from '../client/client-options.js'
import { messageOf } from '../shared/errors.js'
import type { LogLevel } from '../shared/log-level.js'
import type { RelaySettings, RelayUpstream } from '../shared/relay-settings.js'
import type { RelayDoor } from './door.js'
import { Forwarder, type ForwarderStatus } from './forwarder.js'
import type { Entry, ForwarderLimits } from './forwarder-effects.js'
import type { AppendOutcome, Fate, NewMessage } from './messages.js'
import { unavailable } from './refusals.js'
import { isWorthAnotherAttempt, type RelayClient } from './relay-client.js'
import { SettleWatch } from './settle-watch.js'
import type { Spool, SpoolLimits, SpoolStatus } from './spool.js'

export interface OwnerDeps {
  settings: RelaySettings
  createClient: (name: string, options: GuardedClientOptions) => RelayClient
  openSpool: (folder: string, limits: SpoolLimits) => Promise<Spool>
  log: (level: LogLevel, text: string) => void
  /** For tests. */
  forwarding?: Partial<Pick<ForwarderLimits, 'window' | 'rest'>> | undefined
}

/** One client of a relay, for `supervisor spool ls`. */
export interface LineStatus extends SpoolStatus {
  client: string
  connection: ForwarderStatus
}

interface Line {
  readonly upstream: RelayUpstream
  readonly spool: Spool
  readonly forwarder: Forwarder
}

const WINDOW = { count: 1_024, bytes: 4 * 1024 * 1024 }
/** ms until an upstream that refused us is asked again. */
const REST = 60_000

export class Owner implements RelayDoor {
  readonly #lines = new Map<string, Line>()
  readonly #watch = new SettleWatch()
  readonly #drain = new AbortController()
  #isClosed = false

  /** @throws what opening a spool or making a client throws; what was opened is closed again. */
  static async open(deps: OwnerDeps): Promise<Owner> {
    const owner = new Owner()
    // As many as wait for a message to be settled.
    setMaxListeners(0, owner.#drain.signal)
    try {
      for (const upstream of deps.settings.to)
        owner.#lines.set(upstream.name, await owner.#open(upstream, deps))
    } catch (error) {
      await owner.abandon()
      throw error
    }
    return owner
  }

  async #open(upstream: RelayUpstream, deps: OwnerDeps): Promise<Line> {
    const { settings, createClient, openSpool, log, forwarding } = deps
    const { name, maxMessages, maxBytes, maxAge, maxAttempts } = upstream
    const { dedupeWindow, dedupeMessages } = settings
    const limits = { maxMessages, maxBytes, maxAge, dedupeWindow, dedupeMessages }
    const spool = await openSpool(join(settings.spool, name), limits)
    const window = forwarding?.window ?? WINDOW
    try {
      const client = createClient(name, clientOptions(upstream, window))
      const forwarder = new Forwarder({
        client,
        spool,
        limits: { window, maxAge, maxAttempts, rest: forwarding?.rest ?? REST },
        settled: (entries) => this.#settled(name, entries),
        log: (level, text) => log(level, `client ${name}: ${text}`),
      })
      return { upstream, spool, forwarder }
    } catch (error) {
      await spool.close().catch(() => {})
      throw error
    }
  }

  has(client: string): boolean {
    return this.#lines.has(client)
  }

  append(client: string, messages: readonly NewMessage[]): Promise<AppendOutcome[]> {
    const line = this.#lines.get(client)
    if (line === undefined || this.#isClosed)
      return Promise.resolve(messages.map(({ id }) => unavailable(id, 'the relay is stopping')))
    return Promise.all(messages.map((message) => line.spool.append(message)))
  }

  async fate(client: string, id: string): Promise<Fate | null> {
    return (await this.#lines.get(client)?.spool.fate(id)) ?? null
  }

  async settled(client: string, id: string, signal: AbortSignal): Promise<Fate | null> {
    if (signal.aborted || this.#drain.signal.aborted) return this.fate(client, id)
    let forget = (): void => {}
    let onAbort = (): void => {}
    // Before the look: between the two it may be settled.
    const told = new Promise<Fate | null | undefined>((resolve) => {
      forget = this.#watch.wait(client, id, resolve)
      onAbort = () => resolve(undefined)
      signal.addEventListener('abort', onAbort)
      this.#drain.signal.addEventListener('abort', onAbort)
    })
    try {
      const now = await this.fate(client, id)
      if (now?.state !== 'queued') return now
      const fate = await told
      return fate === undefined ? await this.fate(client, id) : fate
    } finally {
      forget()
      signal.removeEventListener('abort', onAbort)
      this.#drain.signal.removeEventListener('abort', onAbort)
    }
  }

  /** Calls back once with its fate when it is settled, or with null when that is not known; see {@link settled}. */
  onSettled(client: string, id: string, listener: (fate: Fate | null) => void): () => void {
    const forget = this.#watch.wait(client, id, listener)
    const line = this.#lines.get(client)
    if (line === undefined) queueMicrotask(() => this.#watch.settled(client, id, null))
    else
      line.spool.fate(id).then(
        (fate) => {
          if (fate?.state !== 'queued') this.#watch.settled(client, id, fate)
        },
        () => {},
      )
    return forget
  }

  #settled(client: string, entries: readonly Entry[]): void {
    const settledAt = Date.now()
    for (const { message, settlement } of entries) {
      const { id, seq, acceptedAt } = message
      if (settlement === null || !this.#watch.isAwaited(client, id)) continue
      this.#watch.settled(client, id, {
        ...{ id, seq, acceptedAt, settledAt, state: settlement.state },
        reason: settlement.state === 'parked' ? settlement.reason : null,
        receipt: settlement.state === 'delivered' ? settlement.receipt : null,
      })
    }
  }

  // --- For the operator -----------------------------------------------------------------------------------------

  status(): LineStatus[] {
    return [...this.#lines].map(([client, { spool, forwarder }]) => ({
      client,
      ...spool.status(),
      connection: forwarder.status(),
    }))
  }

  spoolOf(client: string): Spool | null {
    return this.#lines.get(client)?.spool ?? null
  }

  async drop(client: string, id: string): Promise<boolean> {
    const line = this.#lines.get(client)
    if (line === undefined || !(await line.spool.drop(id))) return false
    line.forwarder.dropped(id)
    if (this.#watch.isAwaited(client, id)) this.#watch.settled(client, id, await line.spool.fate(id))
    return true
  }

  // --- The end --------------------------------------------------------------------------------------------------

  /** Who waits for a message to be settled is answered at once from here on. */
  beginDrain(): void {
    this.#drain.abort()
  }

  /** Accepts no more, waits for what is in flight, closes clients and spools. Settles within `timeout`, about. */
  async close({ timeout }: { timeout: number }): Promise<void> {
    this.#isClosed = true
    this.beginDrain()
    const lines = [...this.#lines.values()]
    await Promise.all(lines.map(({ forwarder }) => forwarder.stop({ timeout })))
    await Promise.all(lines.map(({ spool }) => spool.close()))
  }

  /** At once, because somebody else may be the owner: nothing is written any more. */
  async abandon(): Promise<void> {
    this.#isClosed = true
    this.beginDrain()
    const lines = [...this.#lines.values()]
    await Promise.allSettled(lines.flatMap(({ forwarder, spool }) => [forwarder.abandon(), spool.close()]))
  }
}

/** Room for all that the forwarder has in flight: nothing ever waits for it. */
const clientOptions = (
  upstream: RelayUpstream,
  window: { count: number; bytes: number },
): GuardedClientOptions => {
  const { url, protocols, headers, tls, receipts, identity, maxMessage } = upstream
  return {
    ...{ url, protocols, headers, receipts, identity },
    tls: tlsOf(upstream.name, tls),
    exclusive: true,
    onUnconfirmed: 'resend',
    whenFull: 'wait',
    maxPending: { count: 2 * window.count, bytes: 2 * window.bytes + maxMessage },
    shouldReconnect: isWorthAnotherAttempt,
  }
}

const tlsOf = (name: string, { ca, cert, key, servername }: RelayUpstream['tls']): ConnectionTls => {
  const read = (file: string): Buffer => {
    try {
      return readFileSync(file)
    } catch (error) {
      throw new Error(`client ${name}: ${messageOf(error)}`, { cause: error })
    }
  }
  return {
    ...(ca === undefined ? {} : { ca: read(ca) }),
    ...(cert === undefined ? {} : { cert: read(cert) }),
    ...(key === undefined ? {} : { key: read(key) }),
    ...(servername === undefined ? {} : { servername }),
  }
}
