// supervise(): a supervisor in a program that is itself the primary. `supervisor start` is the same without a program:
// both call start-supervisor.ts.

import type { RequestGuardMode } from '../shared/connect-in-request.js'
import type { Duration } from '../shared/duration.js'
import { ForksafeError } from '../shared/errors.js'
import type { LogLevel } from '../shared/log-level.js'
import { readWholeNumber } from '../shared/option-values.js'
import type { OperationResult, Progress } from '../shared/progress.js'
import type { RelayOptions } from '../shared/relay-options.js'
import { resolveSettings } from '../shared/resolve-settings.js'
import { type ForkHook, MAX_WORKERS } from '../shared/settings.js'
import type { Size } from '../shared/size.js'
import type { SupervisorState, SupervisorStatus } from '../shared/status.js'
import type { Readiness } from '../shared/worker-environment.js'
import { startSupervisor } from './start-supervisor.js'

/** The options of `supervisor start` by the same names; docs/configuration.md has meaning, bounds and defaults. */
export interface SuperviseOptions {
  /** Relative to the working folder. Its symlinks are followed anew for each rolling restart. */
  script: string
  args?: readonly string[]
  /** 1 to 1024, or `'max'`. Default 1. */
  workers?: number | 'max'
  /** One supervisor runs per name and user. Default: the nearest package.json's name. */
  name?: string
  readiness?: Readiness
  readyTimeout?: Duration
  minUptime?: Duration
  /** `{ intensity: 10, period: '60s', onExceeded: 'backoff' }`; what is left out is that. */
  restart?: { intensity?: number; period?: Duration; onExceeded?: 'backoff' | 'exit' }
  stopTimeout?: Duration
  /** How long everything goes on serving after a stop was asked for. Default 0. */
  shutdownDelay?: Duration
  /** A port of the loopback, or `'HOST:PORT'`: there GET /livez and /readyz are answered. Default none. */
  health?: number | string
  /** When pm2, or another parent that keeps an IPC channel, goes away; with `signals: false` it is not looked at. */
  onParentExit?: 'drain' | 'stay'
  maxSurge?: number
  /** New connections per second, of all workers together to one upstream. Default 20; 0: no pacing. */
  connectRate?: number
  requestGuard?: RequestGuardMode
  /** Resident memory of a worker beyond which it is replaced, start first. Default none; so for the others, save the last. */
  maxMemory?: Size
  /** Beyond it a worker is told to leave at once. */
  maxMemoryHard?: Size
  /** Percent of one core, as the mean over `maxCpuPeriod` (30 s). */
  maxCpu?: number
  maxCpuPeriod?: Duration
  /** How long a worker serves, give or take a tenth. */
  maxUptime?: Duration
  /** How long a ready worker's event loop may stand still. Default 60 s; 0: for ever. */
  hangTimeout?: Duration
  forkWindowTimeout?: Duration
  /** `{ 'api.example.com:443': 1 }`: more connections of the whole tree to it are a finding of the audit. */
  connectionBudget?: Readonly<Record<string, number>>
  /** How often connections are counted. Default 60 s; 0: never. */
  auditInterval?: Duration
  /** Whether a worker that shares a connection is replaced, or only warned of. Default `'warn'`. */
  forkGuard?: 'warn' | 'strict'
  /** Workers that take messages of short-lived callers, keep them and forward them; docs/relay.md. Default none. */
  relay?: RelayOptions
  cwd?: string
  env?: Readonly<Record<string, string>>
  /** Files of KEY=VALUE lines, read again for each rolling restart; `env` counts before them. */
  envFile?: string | readonly string[]
  nodeArgs?: string | readonly string[]
  logFormat?: 'pretty' | 'json'
  logLevel?: LogLevel
  /** File that every line is also written to, besides stdout and stderr. */
  logFile?: string
  logMaxSize?: Size
  logMaxFiles?: number
  /** Names of environment variables whose values never appear in a log. */
  secrets?: readonly string[]
  /** Runs in this process before each fork window, when its guarded clients are closed. */
  beforeFork?: ForkHook
  /** Runs in this process after each fork window, before its guarded clients are opened again. */
  afterFork?: ForkHook
  /**
   * Whether this process's signals are the supervisor's: TERM and INT stop, USR2 rolls, and when a stop is complete the
   * process exits. Default true. With false the program calls `stop()` itself.
   */
  signals?: boolean
}

/** A supervisor that runs in this process. `await using` stops it. */
export interface RunningSupervisor extends AsyncDisposable {
  readonly name: string
  readonly state: SupervisorState
  status(): Promise<SupervisorStatus>
  /** Rolls all workers; never rejects, the result says whether it was rolled back and why. */
  reload(onProgress?: (progress: Progress) => void): Promise<OperationResult>
  /** Stops all workers, then starts all: a gap; never rejects. */
  restart(onProgress?: (progress: Progress) => void): Promise<OperationResult>
  /**
   * 1 to 1024 workers, live; how it went is in the result.
   *
   * @throws FORKSAFE_ERR_OPTION_INVALID: not such a number.
   */
  scale(workers: number, onProgress?: (progress: Progress) => void): Promise<OperationResult>
  /** Hands an exclusive client's connection to the worker of that slot, or to the one that is next; never rejects. */
  handOff(client: string, slot?: number): Promise<OperationResult>
  /** Stops within `shutdownDelay` and `stopTimeout` and settles when nothing is left. Never rejects. */
  stop(options?: { now?: boolean }): Promise<OperationResult>
  /** Calls `listener` for each event of all workers; returns the function that stops it. */
  onProgress(listener: (progress: Progress) => void): () => void
  /** Settles when the supervisor has stopped, whoever asked for it. */
  readonly ended: Promise<OperationResult>
}

/**
 * Starts workers in this process's name and settles when all of them are ready.
 *
 * While a worker is forked this process holds no upstream connection: guarded clients that it has open are closed, their
 * close awaited (at most `forkWindowTimeout`), and opened again afterwards.
 *
 * @throws FORKSAFE_ERR_OPTION_INVALID, _OPTION_UNKNOWN, _SCRIPT_UNREADABLE: nothing was started.
 * @throws FORKSAFE_ERR_NOT_PRIMARY, _INHERITED_SOCKET, _NAME_RUNNING, _RUNTIME_FOLDER: nothing was started.
 * @throws FORKSAFE_ERR_START_FAILED: it was stopped before all workers were ready.
 */
export const supervise = async ({
  signals = true,
  ...options
}: SuperviseOptions): Promise<RunningSupervisor> => {
  const resolve = async () =>
    (await resolveSettings({ options: { ...options }, env: {}, cwd: process.cwd(), searchConfig: false }))
      .settings
  const settings = await resolve()
  const { supervisor, ended } = await startSupervisor({
    settings,
    resolve,
    signals,
    ownsProcess: false,
  })
  if (signals) void ended.then(({ exitCode }) => process.exit(exitCode))
  const stop = (how: { now?: boolean } = {}): Promise<OperationResult> => {
    void supervisor.stop({ ...how, reason: 'stop()' })
    return ended
  }
  if ((await supervisor.started) === null) {
    const { message } = await ended
    throw new ForksafeError(
      'FORKSAFE_ERR_START_FAILED',
      `supervise(): ${message} before all workers were ready`,
    )
  }
  return {
    name: settings.name,
    get state() {
      return supervisor.state
    },
    status: () => supervisor.status(),
    reload: (onProgress) => supervisor.reload(onProgress),
    restart: (onProgress) => supervisor.restart(onProgress),
    scale: async (workers, onProgress) =>
      supervisor.scale(readWholeNumber(1, MAX_WORKERS)('workers of scale()', workers, 'value'), onProgress),
    handOff: (client, slot) => supervisor.handOff(client, slot ?? null),
    stop,
    onProgress: (listener) => {
      supervisor.on('progress', listener)
      return () => supervisor.off('progress', listener)
    },
    ended,
    [Symbol.asyncDispose]: async () => void (await stop()),
  }
}
