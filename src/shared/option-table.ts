// The one table of options: what flags, FORKSAFE_* variables, configuration keys, `--help` and docs/configuration.md say
// comes from here (a test compares the page). How values are read stands in option-values.ts; which source wins, in
// resolve-settings.ts.

import { LOG_LEVELS } from './log-level.js'
import {
  type Reader,
  readAddress,
  readBudgets,
  readChoice,
  readDuration,
  readHook,
  readName,
  readNodeArgs,
  readOrNone,
  readPath,
  readPaths,
  readRawRelay,
  readRestart,
  readSize,
  readTexts,
  readVariableNames,
  readVariables,
  readWholeNumber,
  readWorkers,
} from './option-values.js'
import type { RawRelay } from './relay-context.js'
import type { RestartLimits, Settings } from './settings.js'

/** The options as they can be given: the settings, and where these are written. */
export interface OptionValues extends Required<Omit<Settings, 'relay'>> {
  /** As it was written; src/shared/read-relay.ts makes settings of it when the name is known. */
  relay: RawRelay
  config: string
  envFile: string[]
}

export type OptionKey = keyof OptionValues

export interface OptionSpec<Value> {
  /** One line for `--help` and the docs. */
  summary: string
  /** What stands for the value in `--help`; null where there is no flag. */
  placeholder: string | null
  /** What holds when nobody says anything, in words. */
  byDefault: string
  read: Reader<Value>
  /** Short flag. */
  short?: string
  /** Not from FORKSAFE_*. */
  noVariable?: true
  /** Not from a file. */
  noFile?: true
  /** What the flag is called where it is not the key: one of a list, said once for each. */
  flag?: string
  /** The flag may be given several times. */
  repeatable?: true
  /** What the same thing is called elsewhere, for suggestions. */
  elsewhere?: readonly string[]
}

/** Long enough for a cold start with migrations, short enough to notice. */
const READY_TIMEOUT = 30_000
/** Below the 30 s after which Kubernetes kills. */
const STOP_TIMEOUT = 25_000
/** Only where others have to hear first that this instance leaves. */
const SHUTDOWN_DELAY = 0
const MIN_UPTIME = 1_000
const FORK_WINDOW_TIMEOUT = 2_000
const MAX_SURGE = 1
/** A herd of workers that reconnects comes at a pace that a small upstream stands. */
const CONNECT_RATE = 20
/** Ten crashes in a minute are a loop; fewer may be bad luck. */
const RESTART: RestartLimits = { intensity: 10, period: 60_000, onExceeded: 'backoff' }
/** Long enough for a busy moment to be none. */
const MAX_CPU_PERIOD = 30_000
/** A process of Node takes more than this before it has done anything. */
const MIN_MEMORY_LIMIT = 16 * 1024 ** 2
/** Often enough to see a leak of a few an hour, too rare to cost anything. */
const AUDIT_INTERVAL = 60_000
const LOG_MAX_SIZE = 10 * 1024 ** 2
const LOG_MAX_FILES = 5
const MIN_LOG_SIZE = 1024

type PlainDefault = Exclude<
  OptionKey,
  | 'script'
  | 'name'
  | 'config'
  | 'cwd'
  | 'health'
  | 'relay'
  | 'logFile'
  | 'hangTimeout'
  | 'beforeFork'
  | 'afterFork'
>

/** Defaults that are plain values; the others depend on where the supervisor is started. */
export const DEFAULTS: { readonly [Key in PlainDefault]: OptionValues[Key] } = {
  args: [],
  workers: 1,
  readiness: 'auto',
  readyTimeout: READY_TIMEOUT,
  minUptime: MIN_UPTIME,
  restart: RESTART,
  stopTimeout: STOP_TIMEOUT,
  shutdownDelay: SHUTDOWN_DELAY,
  onParentExit: 'drain',
  maxSurge: MAX_SURGE,
  connectRate: CONNECT_RATE,
  maxMemory: 0,
  maxMemoryHard: 0,
  maxCpu: 0,
  maxCpuPeriod: MAX_CPU_PERIOD,
  maxUptime: 0,
  requestGuard: 'warn',
  forkWindowTimeout: FORK_WINDOW_TIMEOUT,
  connectionBudget: {},
  auditInterval: AUDIT_INTERVAL,
  forkGuard: 'warn',
  env: {},
  envFile: [],
  nodeArgs: [],
  logFormat: 'pretty',
  logLevel: 'info',
  logMaxSize: LOG_MAX_SIZE,
  logMaxFiles: LOG_MAX_FILES,
  secrets: [],
}

export const OPTIONS: { readonly [Key in OptionKey]: OptionSpec<OptionValues[Key]> } = {
  script: {
    summary: 'the program that each worker runs; from a file it is relative to that file',
    placeholder: null,
    byDefault: 'must be given',
    read: readPath,
    elsewhere: ['exec', 'main', 'entry'],
  },
  args: {
    summary: 'arguments of the script; on the command line everything after --',
    placeholder: null,
    byDefault: 'none',
    read: readTexts,
    noVariable: true,
  },
  workers: {
    summary: 'how many workers run, 1 to 1024, or max for one per CPU (cgroup quota counts)',
    placeholder: 'count',
    short: 'i',
    byDefault: '1',
    read: readWorkers,
    elsewhere: ['instances', 'numWorkers', 'processes', 'cluster'],
  },
  name: {
    summary: 'name of the supervisor; one of a name runs per user',
    placeholder: 'name',
    byDefault: "nearest package.json's name, else the script's",
    read: readName,
  },
  config: {
    summary: 'configuration file',
    placeholder: 'file',
    byDefault: 'supervisor.config.{ts,mjs,js,cjs,json}',
    read: readPath,
    noFile: true,
  },
  cwd: {
    summary: 'working folder of the workers; from a file it is relative to that file',
    placeholder: 'folder',
    byDefault: 'where the supervisor is started',
    read: readPath,
  },
  env: {
    summary: "KEY=VALUE for the workers' environment (repeatable); in a file an object",
    placeholder: 'KEY=VALUE',
    byDefault: 'none',
    read: readVariables,
    noVariable: true,
    repeatable: true,
    elsewhere: ['environment', 'variables'],
  },
  envFile: {
    summary:
      'file of KEY=VALUE lines for the workers, read at each reload; env counts before it (repeatable)',
    placeholder: 'file',
    byDefault: 'none',
    read: readPaths,
    repeatable: true,
    elsewhere: ['dotenv', 'envfile'],
  },
  nodeArgs: {
    summary: "arguments of node before the script, split at spaces: '--import tsx'; in a file also a list",
    placeholder: 'args',
    byDefault: 'none',
    read: readNodeArgs,
    elsewhere: ['execArgv', 'nodeOptions', 'interpreterArgs'],
  },
  readiness: {
    summary: 'when a worker counts as ready: auto, listening or ready',
    placeholder: 'kind',
    byDefault: 'auto',
    read: readChoice('auto', 'listening', 'ready'),
    elsewhere: ['waitReady'],
  },
  readyTimeout: {
    summary: 'how long a worker may take to become ready',
    placeholder: 'time',
    byDefault: '30s',
    read: readDuration({ min: 1 }),
    elsewhere: ['listenTimeout', 'startTimeout'],
  },
  minUptime: {
    summary: 'how long a new worker must live to count as good',
    placeholder: 'time',
    byDefault: '1s',
    read: readDuration({ min: 0 }),
  },
  restart: {
    summary:
      'how often a slot may be started again after crashes, and whether it then waits (backoff) or the supervisor stops (exit)',
    placeholder: 'limits',
    byDefault: 'intensity=10,period=60s,onExceeded=backoff',
    read: readRestart(RESTART),
    elsewhere: ['maxRestarts', 'restartLimit', 'maxRetries'],
  },
  stopTimeout: {
    summary: 'how long a worker may take to finish its work and leave',
    placeholder: 'time',
    byDefault: '25s',
    read: readDuration({ min: 1 }),
    elsewhere: ['killTimeout', 'shutdownTimeout', 'gracefulTimeout'],
  },
  shutdownDelay: {
    summary: 'how long all go on serving after a stop was asked for, not ready any more; then they drain',
    placeholder: 'time',
    byDefault: '0',
    read: readDuration({ min: 0 }),
    elsewhere: ['drainDelay', 'preStopDelay', 'gracefulDelay'],
  },
  health: {
    summary: 'port, or host:port, on which the supervisor answers GET /livez and /readyz',
    placeholder: 'address',
    byDefault: 'none',
    read: readAddress,
    elsewhere: ['healthPort', 'healthCheck', 'probe', 'livez', 'readyz'],
  },
  onParentExit: {
    summary:
      'what follows when pm2, or another parent with an IPC channel, goes away: drain and exit, or stay',
    placeholder: 'policy',
    byDefault: 'drain',
    read: readChoice('drain', 'stay'),
    elsewhere: ['onDisconnect', 'parentExit'],
  },
  maxSurge: {
    summary: 'how many replacements may be starting at once in a rolling restart',
    placeholder: 'count',
    byDefault: '1',
    read: readWholeNumber(1, 1024),
  },
  connectRate: {
    summary:
      'how many connections per second the clients of all workers together may open to one upstream; 0: as they like',
    placeholder: 'count',
    byDefault: '20',
    read: readWholeNumber(0, 10_000),
    elsewhere: ['reconnectRate', 'dialRate', 'connectionRate'],
  },
  maxMemory: {
    summary: 'memory of a worker (resident) beyond which it is replaced, start first; 0: none',
    placeholder: 'size',
    byDefault: 'none',
    read: readOrNone(readSize(MIN_MEMORY_LIMIT)),
    elsewhere: ['maxMemoryRestart', 'memoryLimit', 'maxRss', 'maxMemoryUsage'],
  },
  maxMemoryHard: {
    summary: 'memory of a worker beyond which it is told to leave at once; 0: none',
    placeholder: 'size',
    byDefault: 'none',
    read: readOrNone(readSize(MIN_MEMORY_LIMIT)),
    elsewhere: ['memoryHardLimit'],
  },
  maxCpu: {
    summary: 'CPU of a worker, in percent of one core, beyond which it is replaced, start first; 0: none',
    placeholder: 'percent',
    byDefault: 'none',
    read: readWholeNumber(0, 100_000),
    elsewhere: ['cpuLimit', 'maxCpuUsage'],
  },
  maxCpuPeriod: {
    summary: 'how long a worker must use more than maxCpu, in the mean',
    placeholder: 'time',
    byDefault: '30s',
    read: readDuration({ min: 1_000 }),
    elsewhere: ['cpuPeriod'],
  },
  maxUptime: {
    summary:
      'how long a worker serves, give or take a tenth, before it is replaced, start first; 0: for ever',
    placeholder: 'time',
    byDefault: 'none',
    read: readOrNone(readDuration({ min: 1_000 })),
    elsewhere: ['maxLifetime', 'maxAge', 'workerLifetime', 'cronRestart'],
  },
  hangTimeout: {
    summary: 'how long the event loop of a ready worker may stand still before it is killed; 0: for ever',
    placeholder: 'time',
    byDefault: '60s; none with --inspect in nodeArgs',
    read: readOrNone(readDuration({ min: 500 })),
    elsewhere: ['livenessTimeout', 'heartbeatTimeout', 'workerTimeout'],
  },
  requestGuard: {
    summary:
      'what becomes of a WebSocket that a worker dials while it serves a request: warn, throw (it is rejected too) or off',
    placeholder: 'mode',
    byDefault: 'warn',
    read: readChoice('warn', 'throw', 'off'),
    elsewhere: ['connectGuard', 'connectInRequest'],
  },
  forkWindowTimeout: {
    summary: "how long a fork may wait for the primary's own clients to close",
    placeholder: 'time',
    byDefault: '2s',
    read: readDuration({ min: 0 }),
  },
  connectionBudget: {
    summary:
      'HOST:PORT=COUNT: more connections of the whole tree to it are a finding of the audit (repeatable); in a file an object',
    placeholder: 'budget',
    byDefault: 'none',
    read: readBudgets,
    noVariable: true,
    repeatable: true,
    elsewhere: ['maxConnections', 'connectionLimit', 'budget'],
  },
  auditInterval: {
    summary: 'how often connections are counted, so that the audit sees what grows; 0: never',
    placeholder: 'time',
    byDefault: '60s',
    read: readOrNone(readDuration({ min: 1_000 })),
    elsewhere: ['auditPeriod', 'socketAudit'],
  },
  forkGuard: {
    summary:
      'what follows when processes share a connection, or the primary holds one while it forks: a warning, or (strict) another worker',
    placeholder: 'mode',
    byDefault: 'warn',
    read: readChoice('warn', 'strict'),
    elsewhere: ['forkAudit', 'forkCheck'],
  },
  logFormat: {
    summary: 'how lines are written out: pretty or json',
    placeholder: 'format',
    byDefault: 'pretty',
    read: readChoice('pretty', 'json'),
    elsewhere: ['logType'],
  },
  logLevel: {
    summary: "least level of the supervisor's own lines: debug, info, warn or error",
    placeholder: 'level',
    byDefault: 'info',
    read: readChoice(...LOG_LEVELS),
    elsewhere: ['loglevel', 'verbosity'],
  },
  logFile: {
    summary:
      'file that every line is also written to, rotated by size; from a file it is relative to that file',
    placeholder: 'file',
    byDefault: 'none',
    read: readPath,
    elsewhere: ['log', 'outFile', 'errorFile', 'logPath'],
  },
  logMaxSize: {
    summary: 'size at which the log file is rotated, at least 1K',
    placeholder: 'size',
    byDefault: '10M',
    read: readSize(MIN_LOG_SIZE),
    elsewhere: ['maxLogSize'],
  },
  logMaxFiles: {
    summary: 'how many log files there are at most, with the one that is written: 2 to 1000',
    placeholder: 'count',
    byDefault: '5',
    read: readWholeNumber(2, 1000),
    elsewhere: ['maxLogFiles', 'retain'],
  },
  secrets: {
    summary: 'name of a variable whose value never appears in a log (repeatable); in a file a list',
    placeholder: 'NAME',
    byDefault: 'none',
    read: readVariableNames,
    flag: 'secret',
    repeatable: true,
    elsewhere: ['redact'],
  },
  relay: {
    summary:
      "workers that take messages of short-lived callers and forward them: { to: { NAME: 'wss://…' } } and more",
    placeholder: null,
    byDefault: 'none',
    read: readRawRelay,
    noVariable: true,
    elsewhere: ['relays', 'publish', 'ingress'],
  },
  beforeFork: {
    summary: 'async function, runs in the primary before each fork window',
    placeholder: null,
    byDefault: 'none',
    read: readHook,
    noVariable: true,
  },
  afterFork: {
    summary: 'async function, runs in the primary after each fork window',
    placeholder: null,
    byDefault: 'none',
    read: readHook,
    noVariable: true,
  },
}

export const isOptionKey = (key: string): key is OptionKey => Object.hasOwn(OPTIONS, key)

export const OPTION_KEYS: readonly OptionKey[] = Object.keys(OPTIONS).filter(isOptionKey)

/** `readyTimeout` as `--ready-timeout`. */
export const flagOf = (key: OptionKey): string => `--${OPTIONS[key].flag ?? words(key).join('-')}`

/** `readyTimeout` as `FORKSAFE_READY_TIMEOUT`. */
export const variableOf = (key: OptionKey): string => `FORKSAFE_${words(key).join('_').toUpperCase()}`

const words = (key: string): string[] =>
  key.replace(/[A-Z]/g, (capital) => ` ${capital.toLowerCase()}`).split(' ')
