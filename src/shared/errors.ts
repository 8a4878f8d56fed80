// The one error class and the one table of codes.
// A code is part of the public contract: docs/errors.md is compared with this table by a test.

/**
 * Every code, whether a retry of the same call may succeed, and what it means.
 * The text here is the meaning of the code; the message of an error says what was wrong this time.
 */
export const ERROR_CODES = {
  FORKSAFE_ERR_OPTION_INVALID: { retryable: false, meaning: 'An option has a value that is not allowed.' },
  FORKSAFE_ERR_OPTION_UNKNOWN: { retryable: false, meaning: 'An option of this name does not exist.' },
  FORKSAFE_ERR_CONFIG_UNREADABLE: {
    retryable: false,
    meaning: 'The configuration file is missing, unreadable or not valid.',
  },
  FORKSAFE_ERR_SCRIPT_UNREADABLE: {
    retryable: false,
    meaning: 'The script is missing, unreadable or not valid.',
  },
  FORKSAFE_ERR_RUNTIME_FOLDER: {
    retryable: false,
    meaning: 'The runtime folder cannot be used safely (owner, mode, symlink, path length).',
  },
  FORKSAFE_ERR_HEALTH_ADDRESS: {
    retryable: true,
    meaning: 'The address of the option health cannot be listened on.',
  },
  FORKSAFE_ERR_NAME_RUNNING: { retryable: true, meaning: 'A supervisor of this name is already running.' },
  FORKSAFE_ERR_NOT_RUNNING: { retryable: true, meaning: 'No supervisor of this name is running.' },
  FORKSAFE_ERR_NAME_AMBIGUOUS: { retryable: false, meaning: 'Several supervisors run and none was named.' },
  FORKSAFE_ERR_CONTROL_TIMEOUT: { retryable: true, meaning: 'The supervisor did not answer in time.' },
  FORKSAFE_ERR_CONTROL_REFUSED: { retryable: false, meaning: 'The supervisor refused the request.' },
  FORKSAFE_ERR_START_FAILED: {
    retryable: true,
    meaning: 'No worker became ready when the supervisor started.',
  },
  FORKSAFE_ERR_RELOAD_FAILED: { retryable: true, meaning: 'A rolling restart was given up and rolled back.' },
  FORKSAFE_ERR_STOPPING: { retryable: false, meaning: 'The supervisor is stopping.' },
  FORKSAFE_ERR_NOT_PRIMARY: {
    retryable: false,
    meaning: 'supervise() was called in a cluster worker; only a primary can fork.',
  },
  FORKSAFE_ERR_PM2_INSTANCE: {
    retryable: false,
    meaning: 'pm2 runs a second instance of a supervisor (pm2 scale); workers are scaled by the supervisor.',
  },
  FORKSAFE_ERR_INHERITED_SOCKET: {
    retryable: false,
    meaning:
      'With forkGuard strict: whoever launched this process left a connection open in it, which every worker would inherit.',
  },
  FORKSAFE_ERR_FORK_LIMIT: {
    retryable: true,
    meaning: 'The bound on live workers or forks per minute was reached.',
  },
  FORKSAFE_ERR_ILLEGAL_TRANSITION: {
    retryable: false,
    meaning: 'A lifecycle was asked for a move that its table does not hold: a bug in forksafe.',
  },
  FORKSAFE_ERR_SHUTDOWN_TIMEOUT: { retryable: false, meaning: 'A shutdown hook did not finish in its time.' },
  FORKSAFE_ERR_RESOURCE_OPTIONS: {
    retryable: false,
    meaning: 'The options of a protected resource are not allowed, or differ from those it was made with.',
  },
  FORKSAFE_ERR_RESOURCE_UNKNOWN: {
    retryable: false,
    meaning: 'protect(name) without options found no protected resource of that name.',
  },
  FORKSAFE_ERR_RESOURCE_OPEN_FAILED: {
    retryable: true,
    meaning: 'A protected resource could not be opened; the cause is what its open() threw.',
  },
  FORKSAFE_ERR_RESOURCE_OPEN_TIMEOUT: {
    retryable: true,
    meaning: 'A protected resource was not open within its openTimeout.',
  },
  FORKSAFE_ERR_RESOURCE_ABORTED: {
    retryable: true,
    meaning: 'The caller aborted get() through its signal, or nobody waits for the opening any more.',
  },
  FORKSAFE_ERR_RESOURCE_CLOSED: {
    retryable: false,
    meaning: 'The protected resource was closed; a closed one stays closed.',
  },
  FORKSAFE_ERR_RESOURCE_CLOSE_FAILED: {
    retryable: false,
    meaning: 'drain() or close() of a protected resource failed or took too long; told by closeFailed.',
  },
  FORKSAFE_ERR_CLIENT_OPTIONS: {
    retryable: false,
    meaning: 'The options of a guarded client are not allowed, or differ from those it was created with.',
  },
  FORKSAFE_ERR_CLIENT_UNKNOWN: {
    retryable: false,
    meaning: 'guardedClient(name) without options found no client of that name.',
  },
  FORKSAFE_ERR_CLIENT_CONNECT_IN_REQUEST: {
    retryable: false,
    meaning:
      'A guarded client was made, or with requestGuard: throw a WebSocket was dialled, while a request was served.',
  },
  FORKSAFE_ERR_CLIENT_NO_LEASE: {
    retryable: false,
    meaning:
      'Something exclusive needs a lease, which only the root export brings, and only for scope machine.',
  },
  FORKSAFE_ERR_LEASE_OPTIONS: {
    retryable: false,
    meaning: 'The name or the options of exclusive() are not allowed, or it runs in this process already.',
  },
  FORKSAFE_ERR_LEASE_ABORTED: {
    retryable: true,
    meaning: 'The caller aborted exclusive() through its signal before its function had begun.',
  },
  FORKSAFE_ERR_LEASE_CLOSED: {
    retryable: false,
    meaning: 'This process leaves, and the function of exclusive() had not begun.',
  },
  FORKSAFE_ERR_LEASE_LOST: {
    retryable: true,
    meaning:
      'The lease was lost while the function of exclusive() ran: another process may run it by now. The cause is how it ended.',
  },
  FORKSAFE_ERR_CLIENT_CLOSED: {
    retryable: false,
    meaning: 'The client was closed; a closed client stays closed.',
  },
  FORKSAFE_ERR_CLIENT_CONNECT_TIMEOUT: {
    retryable: true,
    meaning: 'The connection was not open before the absolute deadline of the attempt.',
  },
  FORKSAFE_ERR_CLIENT_CONNECT_FAILED: { retryable: true, meaning: 'An attempt to connect failed.' },
  FORKSAFE_ERR_CLIENT_CONNECT_REFUSED: {
    retryable: false,
    meaning: 'The upstream refused for good: a fatal status or close code (401, 403, 1008).',
  },
  FORKSAFE_ERR_CLIENT_ABORTED: {
    retryable: true,
    meaning: 'The caller aborted the call through its signal.',
  },
  FORKSAFE_ERR_CLIENT_OUTBOX_FULL: { retryable: true, meaning: 'The outbox holds as much as it may.' },
  FORKSAFE_ERR_CLIENT_MESSAGE_INVALID: { retryable: false, meaning: 'The message cannot be sent as it is.' },
  FORKSAFE_ERR_CLIENT_SEND_TIMEOUT: {
    retryable: true,
    meaning: 'The message was not sent before its own timeout; it was never written.',
  },
  FORKSAFE_ERR_CLIENT_EXPIRED: {
    retryable: false,
    meaning: 'The message reached its `expiresAt` before it was written; it was never sent.',
  },
  FORKSAFE_ERR_CLIENT_RECEIPTS_UNAVAILABLE: {
    retryable: false,
    meaning: 'A proof was asked for that this peer, or this client, cannot give: it answers no pings.',
  },
  FORKSAFE_ERR_CLIENT_SUPERSEDED: {
    retryable: false,
    meaning: 'The upstream closed the connection because another session took its place.',
  },
  FORKSAFE_ERR_CLIENT_NOT_SENT: {
    retryable: true,
    meaning: 'The message was never written to a connection: sending it again cannot double it.',
  },
  FORKSAFE_ERR_CLIENT_FATE_UNKNOWN: {
    retryable: true,
    meaning: 'The message was written, its arrival is not proved: sending it again may double it.',
  },
  FORKSAFE_ERR_AUDIT_LEAK: {
    retryable: false,
    meaning: 'assertNoLeaks() found sockets that were not there before and were not gone in time.',
  },
  FORKSAFE_ERR_AUDIT_UNAVAILABLE: {
    retryable: false,
    meaning:
      'Sockets cannot be listed here: there is no /proc, and lsof is missing, failed or took too long.',
  },
  FORKSAFE_ERR_RELAY_OPTIONS: {
    retryable: false,
    meaning: 'The options of publish(), or the settings of a relay, are not allowed.',
  },
  FORKSAFE_ERR_RELAY_SOCKET: {
    retryable: false,
    meaning:
      'The socket of a relay cannot be listened on, or not safely (owner, mode, symlink, group, path length).',
  },
  FORKSAFE_ERR_RELAY_DENIED: {
    retryable: false,
    meaning: 'This user may not open the socket of the relay: it belongs to another user and group.',
  },
  FORKSAFE_ERR_RELAY_SPOOL: {
    retryable: false,
    meaning: 'The folder of a spool cannot be used safely, or what is in it was not written by a relay.',
  },
  FORKSAFE_ERR_RELAY_UNREACHABLE: {
    retryable: true,
    meaning:
      'No relay listens there, or it went away before it had answered: the message may have been taken.',
  },
  FORKSAFE_ERR_RELAY_TIMEOUT: {
    retryable: true,
    meaning: 'The relay did not answer in time: the message may have been taken.',
  },
  FORKSAFE_ERR_RELAY_ABORTED: {
    retryable: true,
    meaning: 'The caller aborted publish() through its signal: the message may have been taken.',
  },
  FORKSAFE_ERR_RELAY_REQUEST: {
    retryable: false,
    meaning: 'A request to a relay is not one: path, header, id, encoding, length or body.',
  },
  FORKSAFE_ERR_RELAY_METHOD: {
    retryable: false,
    meaning: 'A path of a relay does not have this method; `Allow` names those that it has.',
  },
  FORKSAFE_ERR_RELAY_TYPE: {
    retryable: false,
    meaning: 'A relay does not take a body of this type or encoding.',
  },
  FORKSAFE_ERR_RELAY_TOO_LARGE: {
    retryable: false,
    meaning: 'A message, a batch or the head of a request is larger than the relay allows.',
  },
  FORKSAFE_ERR_RELAY_UNKNOWN_CLIENT: { retryable: false, meaning: 'The relay has no client of this name.' },
  FORKSAFE_ERR_RELAY_UNKNOWN_MESSAGE: {
    retryable: false,
    meaning: 'The relay knows no message of this id, or not any more.',
  },
  FORKSAFE_ERR_RELAY_CONFLICT: {
    retryable: false,
    meaning: 'The relay has accepted another message with the same id and other content.',
  },
  FORKSAFE_ERR_RELAY_TOKEN: {
    retryable: false,
    meaning: 'The token of a request over TCP is missing or wrong.',
  },
  FORKSAFE_ERR_RELAY_ORIGIN: {
    retryable: false,
    meaning: 'A request over TCP came from a web page, or for another host than the relay.',
  },
  FORKSAFE_ERR_RELAY_BUSY: {
    retryable: true,
    meaning: 'The relay has as many connections, or as many bytes of requests, as it may; nothing was taken.',
  },
  FORKSAFE_ERR_RELAY_FULL: {
    retryable: true,
    meaning: 'The spool holds as many messages or bytes as it may; nothing was taken.',
  },
  FORKSAFE_ERR_RELAY_DISK_FULL: {
    retryable: true,
    meaning: 'The disk of the spool is full; nothing was taken.',
  },
  FORKSAFE_ERR_RELAY_DISK: {
    retryable: true,
    meaning: 'The disk of the spool failed to keep a message; nothing was taken.',
  },
  FORKSAFE_ERR_RELAY_UNAVAILABLE: {
    retryable: true,
    meaning:
      'No process of the relay owns the spool now: it starts, restarts or stops; what was handed in may have been taken, and the same id makes it safe to try again.',
  },
} as const

export type ErrorCode = keyof typeof ERROR_CODES

/** What `details` may hold: plain JSON values, so that an error can be logged and sent to another process. */
export type ErrorDetails = Record<string, string | number | boolean | null | undefined | readonly string[]>

/**
 * The only error type that forksafe throws or rejects with on purpose.
 *
 * `code` is stable, `retryable` says whether the same call may succeed later, `details` is JSON-safe, and
 * `cause` is what was caught, if anything.
 */
export class ForksafeError extends Error {
  override readonly name = 'ForksafeError'
  readonly code: ErrorCode
  readonly retryable: boolean
  readonly details: ErrorDetails

  constructor(code: ErrorCode, message: string, extra: { details?: ErrorDetails; cause?: unknown } = {}) {
    super(message, 'cause' in extra ? { cause: extra.cause } : undefined)
    this.code = code
    this.retryable = ERROR_CODES[code].retryable
    this.details = extra.details ?? {}
  }

  toJSON(): { name: string; code: ErrorCode; message: string; retryable: boolean; details: ErrorDetails } {
    return {
      name: this.name,
      code: this.code,
      message: this.message,
      retryable: this.retryable,
      details: this.details,
    }
  }
}

/** The message of whatever was thrown, on one line. */
export const messageOf = (thrown: unknown): string =>
  (thrown instanceof Error ? thrown.message : String(thrown)).split('\n', 1)[0] ?? ''
