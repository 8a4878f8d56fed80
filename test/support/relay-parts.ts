// What a relay is made of, for tests: settings, a relay whose clients are not exclusive, spools in memory, a lease that this
// process grants.

import { mkdtempSync, realpathSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import { guardedClient } from '../../src/client/index.js'
import { Relay, type RelayDeps } from '../../src/relay/relay.js'
import type { LogLevel } from '../../src/shared/log-level.js'
import type { RelaySettings, RelayUpstream } from '../../src/shared/relay-settings.js'
import { MemorySpool } from './memory-spool.js'

export const upstreamAt = (url: string, over: Partial<RelayUpstream> = {}): RelayUpstream => ({
  name: 'feed',
  url,
  protocols: [],
  headers: {},
  tls: {},
  receipts: 'auto',
  identity: 'relay test/feed',
  maxMessages: 1_000_000,
  maxBytes: 1024 ** 3,
  maxAge: 24 * 60 * 60 * 1_000,
  maxMessage: 1024 * 1024,
  maxAttempts: 3,
  ...over,
})

export const shortFolder = (t: Test): string => {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'relay-')))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

export const settingsIn = (
  folder: string,
  to: RelayUpstream[],
  over: Partial<RelaySettings> = {},
): RelaySettings => ({
  name: 'relay',
  workers: 1,
  listen: [],
  group: null,
  spool: join(folder, 'spool'),
  token: null,
  maxConnections: 1_024,
  dedupeWindow: 600_000,
  dedupeMessages: 100_000,
  ownerTimeout: 10_000,
  to,
  ...over,
})

/** Grants in the order of asking, one at a time; what it granted can be taken away. */
export class TestLease {
  #line: Promise<void> = Promise.resolve()
  #current: AbortController | null = null
  #epoch = 0
  granted = 0

  readonly exclusive: RelayDeps['exclusive'] = async (_name, fn, { signal }) => {
    const before = this.#line
    let release = (): void => {}
    this.#line = new Promise((resolve) => {
      release = resolve
    })
    await Promise.race([before, new Promise((resolve) => signal.addEventListener('abort', resolve))])
    if (signal.aborted) {
      void before.then(release)
      throw new Error('aborted while it stood in line')
    }
    const controller = new AbortController()
    this.#current = controller
    this.granted++
    try {
      await fn({ signal: controller.signal, epoch: ++this.#epoch })
    } finally {
      release()
    }
  }

  lose(): void {
    this.#current?.abort(new Error('the lease was lost'))
  }
}

export interface RelayParts {
  settings: RelaySettings
  deskPath: string
  lease: TestLease
  spools: Map<string, MemorySpool>
  lines: { level: LogLevel; text: string }[]
  /** A relay as in one worker; stopped with the test. */
  relay(): Relay
}

let clients = 0

export const relayParts = (
  t: Test,
  to: RelayUpstream[],
  over: Partial<RelaySettings> & { forwarding?: RelayDeps['forwarding'] } = {},
): RelayParts => {
  const { forwarding, ...others } = over
  const folder = shortFolder(t)
  const settings = settingsIn(folder, to, others)
  const spools = new Map<string, MemorySpool>()
  const lines: RelayParts['lines'] = []
  const lease = new TestLease()
  const deskPath = join(folder, 'desk.sock')
  const relay = (): Relay => {
    const made = new Relay({
      settings,
      deskPath,
      exclusive: lease.exclusive,
      forwarding,
      createClient: (name, options) =>
        guardedClient(`${name} ${++clients}`, {
          ...options,
          exclusive: false,
          backoff: { min: 10, max: 50 },
          closeTimeout: 500,
        }),
      openSpool: async (spoolFolder) => {
        const spool = spools.get(spoolFolder) ?? new MemorySpool()
        spool.isClosed = false
        spools.set(spoolFolder, spool)
        return spool
      },
      log: (level, text) => void lines.push({ level, text }),
    })
    t.teardown(() => made.stop({ timeout: 2_000 }))
    return made
  }
  return { settings, deskPath, lease, spools, lines, relay }
}

export const spoolOf = ({ settings, spools }: RelayParts, client = 'feed'): MemorySpool => {
  const spool = spools.get(join(settings.spool, client))
  if (spool === undefined) throw new Error(`the spool of ${client} was not opened yet`)
  return spool
}
