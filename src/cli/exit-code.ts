// Which exit code a failure has. docs/cli.md lists them; a test compares the page with this table.

import { type ErrorCode, ForksafeError } from '../shared/errors.js'

export const EXIT_CODES = {
  0: 'done; for `start` a stop that left nothing behind',
  1: 'unexpected, refused, or ended by force',
  2: 'the command line of a client command is wrong, or several supervisors run and none was named',
  3: 'no such supervisor is running; for `publish` no relay',
  4: 'the supervisor, or relay, did not answer in time',
  5: 'a reload, restart, scale or handoff was given up: rolled back, or nothing was touched because configuration or script is broken; a detached start whose workers did not become ready',
  6: '`audit` found something that does not belong',
  7: 'a worker crashed more often than restart allows, and restart.onExceeded is exit',
  8: 'a supervisor of this name is already running',
  78: 'the configuration of `start`, `relay` or `config check` is wrong: flags, environment, file, script, runtime folder, or socket or spool of a relay',
} as const

export type ExitCode = keyof typeof EXIT_CODES

/** A mistake in what somebody wrote: 78 for `start`, so that a service manager does not try again; 2 elsewhere. */
export type MistakeCode = 2 | 78

export const exitCodeOf = (error: unknown, mistake: MistakeCode): ExitCode =>
  error instanceof ForksafeError ? (CODE_OF[error.code] ?? (MISTAKES.has(error.code) ? mistake : 1)) : 1

const CODE_OF: Partial<Record<ErrorCode, ExitCode>> = {
  FORKSAFE_ERR_NOT_RUNNING: 3,
  FORKSAFE_ERR_CONTROL_TIMEOUT: 4,
  FORKSAFE_ERR_NAME_AMBIGUOUS: 2,
  FORKSAFE_ERR_NAME_RUNNING: 8,
  FORKSAFE_ERR_RELOAD_FAILED: 5,
  FORKSAFE_ERR_RELAY_UNREACHABLE: 3,
  FORKSAFE_ERR_RELAY_TIMEOUT: 4,
}

const MISTAKES: ReadonlySet<ErrorCode> = new Set([
  'FORKSAFE_ERR_OPTION_INVALID',
  'FORKSAFE_ERR_OPTION_UNKNOWN',
  'FORKSAFE_ERR_CONFIG_UNREADABLE',
  'FORKSAFE_ERR_SCRIPT_UNREADABLE',
  'FORKSAFE_ERR_RUNTIME_FOLDER',
  'FORKSAFE_ERR_RELAY_OPTIONS',
  'FORKSAFE_ERR_RELAY_SOCKET',
  'FORKSAFE_ERR_RELAY_SPOOL',
  // How a service manager was told to run it: pm2's cluster mode.
  'FORKSAFE_ERR_NOT_PRIMARY',
  'FORKSAFE_ERR_PM2_INSTANCE',
  // Whoever launched it left a connection open in it.
  'FORKSAFE_ERR_INHERITED_SOCKET',
])
