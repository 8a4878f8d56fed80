// Plays the real client against a hostile peer and judges it: each attempt ends in the one outcome that was expected,
// within its bound; there are no more attempts than the client announced; nothing is left of it.

import type { Test } from 'tap'
import { type GuardedClient, type GuardedClientOptions, guardedClient } from '../../../src/client/index.js'
import { eventually, withDeadline } from '../../support/deadline.js'
import { nothingIsLeft, openResources } from '../../support/open-resources.js'
import { socketsTo } from '../../support/socket-table.js'
import { closeCodeOf } from './frames.js'
import { type Act, type HostileServer, hostileServer } from './hostile-server.js'

/** What one attempt tells, in order: its events, with the code where there is one. */
export interface Outcome {
  events: readonly string[]
  /** What `connect()` rejects with; null: it resolves. */
  connect: string | null
  /** What `send()` rejects with afterwards, until `connect()` is called; null: the client comes back by itself. */
  staysAway: string | null
}

const CONNECT_REFUSED = 'FORKSAFE_ERR_CLIENT_CONNECT_REFUSED'

const failing = (code: string): Outcome => ({
  events: ['connecting', 'waiting'],
  connect: `FORKSAFE_ERR_CLIENT_CONNECT_${code}`,
  staysAway: null,
})

/** The attempt failed, the next one follows by backoff. */
export const FAILED = failing('FAILED')
/** The same, at the absolute deadline of the attempt. */
export const TIMED_OUT = failing('TIMEOUT')
/** The attempt failed for good. */
export const REFUSED: Outcome = {
  events: ['connecting', `refused ${CONNECT_REFUSED}`],
  connect: CONNECT_REFUSED,
  staysAway: CONNECT_REFUSED,
}
/** It was open, ended with that close code, and is dialled again. */
export const lost = (code: number): Outcome => ({
  events: ['connecting', 'opened', `lost ${code}`, 'waiting'],
  connect: null,
  staysAway: null,
})
/** It was open, and the close code said that there is no use in coming back. */
export const lostForGood = (code: number): Outcome => ({
  events: ['connecting', 'opened', `lost ${code}`, `refused ${CONNECT_REFUSED}`],
  connect: null,
  staysAway: CONNECT_REFUSED,
})

/** In ms. */
export type Pause = readonly [least: number, most: number]

export interface Case {
  /** Completes "a peer that …". */
  peer: string
  acts: readonly Act[]
  outcome: Outcome
  /** ms in which an attempt may come to its outcome. */
  bound: number
  /** What the reason says. */
  says?: RegExp
  /** What it announces to wait before the next attempt. Default: what the backoff allows. */
  pause?: Pause
  /** The close codes that each connection of the client sent. Default none. */
  peerSees?: readonly number[]
  options?: Partial<GuardedClientOptions>
  /** Done when it is open, in the first attempt. */
  whenOpen?: (client: GuardedClient) => unknown
  /** Default 2: the client comes back, and is treated the same. */
  attempts?: number
}

/** ms beyond every bound for a busy machine: what hangs hangs longer. */
export const LENIENCE = 4_000
export const CONNECT_TIMEOUT = 150
export const CLOSE_TIMEOUT = 100
export const DRAIN_TIMEOUT = 80
/** An outcome that needs no timer: those of the client are long then. */
export const AT_ONCE = 0
export const LONG = 60_000
const PATIENT = { connectTimeout: LONG, closeTimeout: LONG }
const BACKOFF = { min: 5, max: 20 }
const OWN_PAUSE: Pause = [BACKOFF.min, BACKOFF.max]

let clients = 0

/** A client in a hurry. */
export const hastyClient = (url: string, options: Partial<GuardedClientOptions> = {}): GuardedClient =>
  guardedClient(`hasty ${++clients}`, {
    url,
    connectTimeout: CONNECT_TIMEOUT,
    closeTimeout: CLOSE_TIMEOUT,
    drainTimeout: DRAIN_TIMEOUT,
    backoff: BACKOFF,
    ...options,
  })

/** Everything that a client tells, as short texts; and the pauses that it announced, in ms. */
export const logOf = (client: GuardedClient) => {
  const events: string[] = []
  const reasons: string[] = []
  const pauses: number[] = []
  client.on('connecting', () => events.push('connecting'))
  client.on('opened', () => events.push('opened'))
  client.on('lost', ({ code, message }) => {
    events.push(`lost ${code}`)
    reasons.push(message)
  })
  client.on('waiting', ({ delay, reason }) => {
    events.push('waiting')
    reasons.push(reason)
    pauses.push(delay)
  })
  client.on('refused', ({ error }) => {
    events.push(`refused ${error.code}`)
    reasons.push(error.message)
  })
  client.on('superseded', ({ code }) => events.push(`superseded ${code}`))
  client.on('receiptsDegraded', () => events.push('receiptsDegraded'))
  client.on('receiptsRestored', () => events.push('receiptsRestored'))
  return { events, reasons, pauses }
}

export const playCase = (t: Test, tested: Case): Promise<unknown> =>
  t.test(`a peer that ${tested.peer}`, async (t) => {
    await leavingNothing(t, async () => {
      const server = await hostileServer(tested.acts)
      try {
        await judge(t, tested, server.url, server)
      } finally {
        await server.stop()
      }
    })
  })

/** @param server null where it is not ours, or cannot be reached. */
export const judge = async (
  t: Test,
  { outcome, bound, says, pause = OWN_PAUSE, peerSees = [], options, whenOpen, attempts = 2 }: Case,
  url: string,
  server: HostileServer | null,
): Promise<void> => {
  const client = hastyClient(url, { ...(bound === AT_ONCE ? PATIENT : {}), ...options })
  try {
    const log = logOf(client)
    const rounds = outcome.staysAway === null ? attempts : 1
    const isOver = new Promise<void>((resolve) => {
      client.on('waiting', () => log.pauses.length === rounds && resolve(client.close()))
      client.on('refused', () => resolve())
      client.on('superseded', () => resolve())
    })
    const connected = client.connect().then(
      () => null,
      (error: unknown) => (error as { code: string }).code,
    )
    if (whenOpen !== undefined) await connected.then(() => whenOpen(client))
    await withDeadline(isOver, {
      what: `${rounds} attempts to end as ${JSON.stringify(outcome.events)}`,
      timeout: rounds * bound + LENIENCE,
      last: () => `${client.state} after ${log.events.join(', ')}`,
    })
    t.same(log.events, Array.from({ length: rounds }, () => outcome.events).flat(), 'the events, in order')
    t.equal(await connected, outcome.connect, 'what connect() said')
    if (says !== undefined)
      for (const reason of log.reasons) t.match(reason, says, 'the reason says what was wrong')
    t.ok(
      log.pauses.every((delay) => delay >= pause[0] && delay <= pause[1]),
      `pauses of ${log.pauses.join(' and ')} ms`,
    )
    if (outcome.staysAway !== null) {
      t.equal(client.state, 'idle')
      await t.rejects(client.send('x'), { code: outcome.staysAway })
    }
    await withDeadline(client.close(), { what: 'close() to settle' })
    if (server !== null) await judgeAtPeer(t, server, { rounds, peerSees })
  } finally {
    await client.terminate()
  }
}

const judgeAtPeer = async (
  t: Test,
  server: HostileServer,
  { rounds, peerSees }: { rounds: number; peerSees: readonly number[] },
): Promise<void> => {
  await eventually(
    () => socketsTo(process.pid, server.port),
    (sockets) => sockets.length === 0,
    { what: 'the client to hold no socket' },
  )
  t.equal(server.accepts.length, rounds, 'one accept for each attempt that was announced')
  for (const { closeFrames, frames } of server.peers) {
    t.same(closeFrames.map(closeCodeOf), peerSees, 'the Close frames that it got')
    t.ok(
      frames.every(({ isMasked }) => isMasked),
      'every frame of the client is masked',
    )
  }
}

/** Plays something that ends: no descriptor, socket or timer more than before, and no warning of Node's. */
export const leavingNothing = async (
  t: Test,
  play: () => Promise<unknown>,
  warnings: readonly string[] = [],
): Promise<void> => {
  const before = openResources()
  const warned: string[] = []
  const warn = (warning: Error & { code?: string }): number =>
    warned.push(warning.code ?? `${warning.name}: ${warning.message}`)
  process.on('warning', warn)
  try {
    await play()
    await nothingIsLeft(before, t.name)
  } finally {
    process.off('warning', warn)
  }
  t.same(warned, warnings, 'the warnings of the process')
}
