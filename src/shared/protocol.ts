// Every message between the primary and its workers, and nothing else that they share.
//
// They travel on the cluster's own IPC channel, because there they keep their order with the sockets that the
// primary hands over: that order is what makes the drain barrier a proof (see src/worker/drain.ts). Node gives
// messages whose `cmd` begins with NODE_ to 'internalMessage' listeners instead of 'message' listeners, so the
// application sees none of them, and its own process.send and process.on('message') stay its own.

import {
  type ConnectCount,
  type ConnectInRequest,
  isConnectCounts,
  isConnectInRequest,
} from './connect-in-request.js'
import { isWorkerLeaseMessage, type PrimaryLeaseMessage, type WorkerLeaseMessage } from './lease-protocol.js'
import type { ClientReport } from './resources.js'
import { MAX_SECRET, MAX_SECRETS, MIN_SECRET } from './secrets.js'
import { isSocketOrigins, type SocketOrigins } from './socket-origins.js'

/** The `cmd` of our frames; Node reserves the prefix for messages that applications do not see. */
const CMD = 'NODE_FORKSAFE'

export type ReadyBy = 'listening' | 'ready()' | "process.send('ready')" | 'clients'
export type DrainReason = 'reload' | 'restart' | 'scale' | 'stop' | 'signal' | 'replace'

/**
 * Most `askDial` of one worker that are not answered. A worker holds back what is beyond it, and the primary ignores it:
 * it keeps no more than this for any worker.
 */
export const MAX_OPEN_ASKS = 100

/** What the primary tells a worker. */
export type PrimaryMessage =
  /** Stop taking work, finish what is in flight, close everything, leave; all of it within `budget` ms. */
  | { type: 'drain'; reason: DrainReason; budget: number }
  /** The reported signal is known and an order will follow: do not drain on your own. */
  | { type: 'hold' }
  /** Leave at once: a Close frame is still tried for at most 250 ms, nothing else is waited for. */
  | { type: 'leave' }
  /** Answer with a `report` of the same id. */
  | { type: 'askReport'; id: number }
  /** Answer with `sockets` of the same id. */
  | { type: 'askSockets'; id: number }
  /** Answer with a `beat`: it shows that the event loop turns. */
  | { type: 'askBeat' }
  /** Everything that the primary sent before this, handed-over sockets included, has now arrived. */
  | { type: 'barrier'; id: number }
  /** The client that asked with this id may dial now. */
  | { type: 'mayDial'; id: number }
  /** It may in about `wait` ms; `mayDial` follows. */
  | { type: 'dialLater'; id: number; wait: number }
  /** About what is exclusive: src/shared/lease-protocol.ts. */
  | { type: 'lease'; message: PrimaryLeaseMessage }

/** What a worker tells the primary. */
export type WorkerMessage =
  /** The runtime runs, before the first line of the script. */
  | { type: 'hello'; version: string }
  | { type: 'ready'; by: ReadyBy }
  /** A server listens; `address` as people write it: `:8080`, `127.0.0.1:8080`, `/path.sock`. */
  | { type: 'listening'; address: string }
  /** The process got a stop signal and waits for the primary's order. */
  | { type: 'signalled'; signal: NodeJS.Signals }
  | { type: 'report'; id: number | null; report: WorkerReport }
  /** The sockets that the process dialled itself. */
  | { type: 'sockets'; id: number; sockets: SocketOrigins }
  /** A place of the code dialled within a request for the first time; how often it does is in the `report`. */
  | { type: 'connectInRequest'; report: ConnectInRequest }
  | { type: 'beat' }
  /** Asks for the `barrier` message of the same id. */
  | { type: 'askBarrier'; id: number }
  /** A client wants to dial: asks for the `mayDial` message of the same id. */
  | { type: 'askDial'; id: number; origin: string }
  /** It does not want to any more: its turn goes to the next one. */
  | { type: 'withdrawDial'; id: number }
  | { type: 'lease'; message: WorkerLeaseMessage }
  /** The drain is over and the worker leaves now. */
  | { type: 'drained'; forced: ForcedEnd }
  /** Values that the worker's clients use and that must not be seen in a log. */
  | { type: 'secrets'; values: readonly string[] }
  /** An uncaught error is about to end the process; `text` is its stack, bounded. */
  | { type: 'fault'; text: string }

/** What a drain had to end by force, because it was not finished in time. All zero for a clean drain. */
export interface ForcedEnd {
  requests: number
  upgraded: number
  hooks: string[]
}

export interface WorkerReport {
  /** Mean event loop delay of the last second in ms. */
  eventLoopDelayMs: number
  connections: number
  inFlight: number
  clients: ClientReport[]
  /** What still keeps the worker from being ready, or from leaving, in words. */
  waitingFor: string[]
  /** Places of the code that dialled within requests; a runtime of an older version says nothing of it. */
  requestGuard?: ConnectCount[]
}

type Frame<Message> = { cmd: typeof CMD; message: Message }

export const toFrame = <Message extends PrimaryMessage | WorkerMessage>(
  message: Message,
): Frame<Message> => ({
  cmd: CMD,
  message,
})

/** The message in a frame that the primary sent, or undefined when it is not one of ours. Trusted: it is our parent. */
export const primaryMessageIn = (raw: unknown): PrimaryMessage | undefined =>
  isFrame(raw) ? (raw.message as PrimaryMessage) : undefined

/**
 * The message in a frame that a worker sent; undefined when it is not one of ours, `'malformed'` when it claims to
 * be. A worker is not trusted: it runs code that may write anything to the channel.
 */
export const workerMessageIn = (raw: unknown): WorkerMessage | 'malformed' | undefined => {
  if (!isFrame(raw)) return undefined
  const message = raw.message
  if (
    !isObject(message) ||
    typeof message.type !== 'string' ||
    !Object.hasOwn(WORKER_MESSAGES, message.type)
  ) {
    return 'malformed'
  }
  const wellFormed = WORKER_MESSAGES[message.type as WorkerMessage['type']]
  return wellFormed(message) ? (message as unknown as WorkerMessage) : 'malformed'
}

type Fields = Record<string, unknown>

const READY_BY: readonly unknown[] = ['listening', 'ready()', "process.send('ready')", 'clients']

const WORKER_MESSAGES: Record<WorkerMessage['type'], (fields: Fields) => boolean> = {
  hello: ({ version }) => isText(version, 64),
  ready: ({ by }) => READY_BY.includes(by),
  listening: ({ address }) => isText(address),
  signalled: ({ signal }) => isText(signal),
  report: ({ id, report }) => (id === null || Number.isSafeInteger(id)) && isReport(report),
  sockets: ({ id, sockets }) => Number.isSafeInteger(id) && isSocketOrigins(sockets),
  connectInRequest: ({ report }) => isConnectInRequest(report),
  beat: () => true,
  askBarrier: ({ id }) => Number.isSafeInteger(id),
  askDial: ({ id, origin }) => Number.isSafeInteger(id) && isText(origin),
  withdrawDial: ({ id }) => Number.isSafeInteger(id),
  lease: ({ message }) => isWorkerLeaseMessage(message),
  drained: ({ forced }) =>
    isObject(forced) && isCount(forced.requests) && isCount(forced.upgraded) && isTexts(forced.hooks),
  fault: ({ text }) => isText(text, 8_192),
  secrets: ({ values }) =>
    Array.isArray(values) && values.length <= MAX_SECRETS && values.every((value) => isSecret(value)),
}

const isReport = (report: unknown): boolean =>
  isObject(report) &&
  isCount(report.eventLoopDelayMs) &&
  isCount(report.connections) &&
  isCount(report.inFlight) &&
  isTexts(report.waitingFor) &&
  (report.requestGuard === undefined || isConnectCounts(report.requestGuard)) &&
  Array.isArray(report.clients) &&
  report.clients.length <= 1_000 &&
  report.clients.every(isClientReport)

const isClientReport = (client: unknown): boolean =>
  isObject(client) &&
  isText(client.name) &&
  isText(client.identity) &&
  isText(client.state) &&
  isText(client.role) &&
  isCount(client.epoch) &&
  isCount(client.pending) &&
  isCount(client.confirmed) &&
  isCount(client.reconnects)

const isObject = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
const isFrame = (raw: unknown): raw is Frame<unknown> => isObject(raw) && raw.cmd === CMD
const isText = (value: unknown, limit = 1_024): boolean => typeof value === 'string' && value.length <= limit
const isSecret = (value: unknown): boolean => isText(value, MAX_SECRET) && String(value).length >= MIN_SECRET
const isTexts = (value: unknown): boolean =>
  Array.isArray(value) && value.length <= 100 && value.every((v) => isText(v))
const isCount = (value: unknown): boolean => typeof value === 'number' && Number.isFinite(value) && value >= 0
