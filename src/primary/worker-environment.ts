// The environment of a worker: the primary's, less what belongs to the service manager above us, plus our own.

import { relayVariables, roleOf } from '../shared/relay-role.js'
import { RELAY_VARIABLE } from '../shared/relay-settings.js'
import { runtimeFolder } from '../shared/runtime-folder.js'
import type { Settings } from '../shared/settings.js'
import { STARTUP_VARIABLE, type WorkerStartup } from '../shared/worker-environment.js'
import type { ForkOrder } from './commands.js'

/**
 * Variables by which a process takes itself for the child of pm2 or systemd. pm2 copies every scalar of its record
 * into the environment; a worker that saw them would report to pm2's daemon as if it were the app that pm2 started.
 */
const PM2_VARIABLES = [
  'pm_id',
  'pm_cwd',
  'pm_exec_path',
  'pm_err_log_path',
  'pm_out_log_path',
  'pm_log_path',
  'pm_pid_path',
  'pm_uptime',
  'PM2_HOME',
  'PM2_USAGE',
  'PM2_INTERACTOR_PROCESSING',
  'PM2_JSON_PROCESSING',
  'PM2_PROGRAMMATIC',
  'PM2_DISCRETE_MODE',
  'NODE_APP_INSTANCE',
  'exec_mode',
  'exec_interpreter',
  'instances',
  'instance_var',
  'unique_id',
  'unstable_restarts',
  'restart_time',
  'created_at',
  'axm_actions',
  'axm_dynamic',
  'axm_monitor',
  'axm_options',
  'vizion',
  'vizion_running',
  'pmx',
  'treekill',
  'kill_timeout',
  'kill_retry_time',
  'listen_timeout',
  'wait_ready',
  'shutdown_with_message',
  'stop_exit_codes',
  'autorestart',
  'autostart',
  'automation',
  'merge_logs',
  'min_uptime',
  'max_restarts',
  'exp_backoff_restart_delay',
  'prev_restart_delay',
  'restart_delay',
  'windowsHide',
  'watch',
  'node_args',
  'node_version',
  'namespace',
  'filter_env',
  'km_link',
  'username',
  'status',
  'name',
  'version',
  'args',
  'exit_code',
  '_km_monitored',
  // Settings of the pm2 file, as far as they are given there.
  'cwd',
  'name_prefix',
  'install_url',
  'disable_logs',
  'log_type',
  'log_date_format',
  'time',
  'max_memory_restart',
  'source_map_support',
  'disable_source_map_support',
  'cron_restart',
  'watch_delay',
  'execute_command',
  'force',
  'append_env_to_name',
  'trace',
  'disable_trace',
  'v8',
  'event_loop_inspector',
  'deep_monitoring',
  'increment_var',
  'uid',
  'gid',
  'write',
] as const

/**
 * The whole of systemd's protocol, and no prefix: LISTEN_PORT or WATCHDOG_URL would be the application's. What a service
 * may want to know of its unit (RUNTIME_DIRECTORY, CREDENTIALS_DIRECTORY, INVOCATION_ID) stays.
 */
const SERVICE_VARIABLES = [
  'NOTIFY_SOCKET',
  'WATCHDOG_USEC',
  'WATCHDOG_PID',
  'LISTEN_FDS',
  'LISTEN_PID',
  'LISTEN_PIDFDID',
  'LISTEN_FDNAMES',
  'FDSTORE',
  'MAINPID',
  'MAINPIDFDID',
  'MANAGERPID',
  'MANAGERPIDFDID',
  'SYSTEMD_EXEC_PID',
]

/** For `cluster.fork`, which lays it over the primary's environment; `undefined` takes a variable out. */
export const workerEnvironment = (
  order: ForkOrder,
  settings: Settings,
  environment: NodeJS.ProcessEnv = process.env,
): Record<string, string | undefined> => {
  const { generation } = order
  const isRelay = roleOf(order.slot, order.relays, settings) === 'relay'
  // The app's workers are counted from 0, and by themselves.
  const before = isRelay ? 0 : order.relays
  const slot = order.slot - before
  const workers = order.workers - before
  const startup: WorkerStartup = {
    slot,
    slotOfAll: order.slot,
    generation,
    workers,
    supervisor: settings.name,
    // A relay says so when its socket is open to the group, too.
    readiness: isRelay ? 'ready' : settings.readiness,
    // A relay's connection is dialled whenever a request finds none: that is its work, and there is one.
    requestGuard: isRelay ? 'off' : settings.requestGuard,
  }
  const foreign = [...SERVICE_VARIABLES, ...pm2Variables(environment)]
  return {
    ...Object.fromEntries(foreign.map((variable) => [variable, undefined])),
    ...(settings.relay === undefined || isRelay ? {} : relayVariables(settings.relay)),
    ...settings.env,
    ...(settings.relay !== undefined && isRelay
      ? { [RELAY_VARIABLE]: JSON.stringify(settings.relay) }
      : { [RELAY_VARIABLE]: undefined }),
    SUPERVISOR_NAME: settings.name,
    // With the name it tells whose a process is that outlived its worker: the audit looks for both.
    SUPERVISOR_FOLDER: runtimeFolder(environment),
    SUPERVISOR_SLOT: String(slot),
    SUPERVISOR_WORKERS: String(workers),
    SUPERVISOR_GENERATION: String(generation),
    NODE_APP_INSTANCE: String(slot),
    [STARTUP_VARIABLE]: JSON.stringify(startup),
  }
}

const pm2Variables = (environment: NodeJS.ProcessEnv): string[] => {
  if (environment.pm_id === undefined) return []
  const { name = '' } = environment
  // pm2 also sets a variable named as the app, with its module configuration: `feed={}`.
  const ofApp = /^\{.*\}$/.test(environment[name] ?? '') ? [name] : []
  return [...PM2_VARIABLES, ...ofApp]
}
