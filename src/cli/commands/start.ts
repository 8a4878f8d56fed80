// supervisor start: the supervisor itself, in the foreground. From here on this process is the primary.
// With --detach it runs in a process of its own that outlives the terminal (src/cli/detach.ts).

import { Option } from 'commander'
import { endBySignalsAsFirst } from '../../manager/first-process.js'
import { invalidOption } from '../../shared/option-values.js'
import type { Settings } from '../../shared/settings.js'
import type { Call, Command } from '../command.js'
import { showOperation } from '../render/operation.js'
import { settingsReader, startOptions } from '../start-settings.js'

/** How long the process may take to end by itself, in ms. */
const LAST_LINES_WRITTEN = 1_000

export const startCommand: Command = {
  name: 'start',
  operands: '[script]',
  summary: 'start a script as a cluster, in the foreground or with --detach in the background',
  examples: [
    'supervisor start app.js -i 4                       four workers',
    'supervisor start app.js -i max -- --port 8080      arguments of app.js after --',
    'supervisor start                                   everything from supervisor.config.js',
    "supervisor start app.ts --node-args '--import tsx'",
    'supervisor start app.js --detach                   ends when the workers are ready, and says why if not',
    '',
    'Each option can also be set in supervisor.config.{ts,mjs,js,cjs,json} (readyTimeout) and by environment',
    '(FORKSAFE_READY_TIMEOUT). A flag counts before the environment, the environment before the file.',
    '',
    'Signals: SIGTERM, SIGINT stop (the second one at once); SIGUSR2 rolls; SIGHUP rolls, on a terminal it stops;',
    'SIGTTIN, SIGTTOU run one worker more, one fewer.',
  ],
  options: [
    ...startOptions(),
    new Option('-d, --detach', 'in the background, in a session of its own, with a rotated log file'),
  ],
  mistake: 78,
  takesArgs: true,
  run: (call) => startAs(call, settingsReader(call)),
}

/** A function that reads all settings anew; see settingsReader. */
type ReadSettings = ReturnType<typeof settingsReader>

/** What `start` does, with settings from wherever they come: in the foreground to the end, or with --detach. */
export const startAs = async (call: Call, read: ReadSettings): Promise<number> => {
  const isDetached = wasDetached(call.env)
  if (call.flags.detach === true && !isDetached) return detach(call, read)
  try {
    return await superviseUntilEnd(read, isDetached)
  } finally {
    // The process ends by itself once its last lines are written. A reader that has stopped, or the channel to a
    // service manager (pm2), cannot keep it: unreferenced, this runs only where something else does.
    setTimeout(() => process.exit(), LAST_LINES_WRITTEN).unref()
    // Node takes its signal handlers away before the process is gone, and a late signal would be how it ended. This
    // runs last, when all is done and written, and leaves without that.
    process.once('exit', () => process.exit())
  }
}

/** The variable by which a detached process knows that it is one; its command line is the same. */
const DETACHED = 'FORKSAFE_DETACHED'

/** Detached from a shell that runs in a service, it must not speak in that service's name. */
const NO_SERVICE = { NOTIFY_SOCKET: undefined, WATCHDOG_USEC: undefined, WATCHDOG_PID: undefined }

const wasDetached = (env: NodeJS.ProcessEnv): boolean => {
  const is = env[DETACHED] !== undefined
  // Not for the workers, which may start supervisors of their own.
  delete env[DETACHED]
  return is
}

const superviseUntilEnd = async (read: ReadSettings, isDetached: boolean): Promise<number> => {
  const onSignalsTaken = endBySignalsAsFirst()
  // At the same time: the check of a script may take a process of its own.
  const [{ settings }, { startSupervisor }] = await Promise.all([
    read(),
    import('../../control/start-supervisor.js'),
  ])
  const { ended } = await startSupervisor({
    settings,
    resolve: async () => (await read(settings.name)).settings,
    signals: true,
    ownsProcess: true,
    toStreams: !isDetached,
    onSignalsTaken,
  })
  return (await ended).exitCode
}

const detach = async (call: Call, read: ReadSettings): Promise<number> => {
  const { env, screen } = call
  if (env.pm_id !== undefined) {
    throw invalidOption(
      '--detach',
      true,
      'cannot be used under pm2, which would watch a process that has ended; leave it out',
    )
  }
  if (env.NOTIFY_SOCKET !== undefined && env.SYSTEMD_EXEC_PID === String(process.pid)) {
    throw invalidOption(
      '--detach',
      true,
      'cannot be used in a unit with Type=notify, which would watch a process that has ended; leave it out',
    )
  }
  const { DetachedStartError, startDetached } = await import('../detach.js')
  const { logPaths } = await import('../log-folder.js')
  const { settings } = await read()
  const paths = logPaths(settings.name, env)
  const logFile = settings.logFile ?? paths.log
  const interrupted = new AbortController()
  const interrupt = (): void => interrupted.abort()
  process.once('SIGINT', interrupt)
  process.once('SIGTERM', interrupt)
  try {
    return await showOperation(call, async (tell) => {
      const { pid, ...result } = await startDetached({
        argv: detachedArgv(process.argv.slice(1), settings, logFile),
        settings,
        errorFile: paths.errors,
        env: { ...env, ...NO_SERVICE, [DETACHED]: '1' },
        signal: interrupted.signal,
        tell,
      })
      const message = result.ok
        ? `${result.message}: ${settings.name} runs as pid ${pid}, log ${logFile}`
        : result.message
      return { ...result, message }
    })
  } catch (error) {
    if (!(error instanceof DetachedStartError)) throw error
    screen.complain(error.message)
    return error.exitCode
  } finally {
    process.removeListener('SIGINT', interrupt)
    process.removeListener('SIGTERM', interrupt)
  }
}

/** The command line as it was given, with name and log file made certain; before a `--`. */
const detachedArgv = (argv: readonly string[], { name }: Settings, logFile: string): string[] => {
  const at = argv.indexOf('--')
  const [own, rest] = at < 0 ? [argv, []] : [argv.slice(0, at), argv.slice(at)]
  return [...own, '--name', name, '--log-file', logFile, ...rest]
}
