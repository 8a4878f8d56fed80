// supervisor start: the supervisor itself, in the foreground. From here on this process is the primary.

import { Option } from 'commander'
import { ForksafeError } from '../../shared/errors.js'
import { logicalFolder } from '../../shared/logical-folder.js'
import { flagOf, OPTION_KEYS, OPTIONS, type OptionKey } from '../../shared/option-table.js'
import { resolveSettings } from '../../shared/resolve-settings.js'
import type { Call, Command } from '../command.js'

/** How long the process may take to end by itself, in ms. */
const LAST_LINES_WRITTEN = 1_000

const collect = (value: string, earlier: string[] | undefined): string[] => [...(earlier ?? []), value]

const optionOf = (key: OptionKey): Option[] => {
  const { placeholder, short, summary, byDefault, repeatable } = OPTIONS[key]
  if (placeholder === null) return []
  const flags = `${short === undefined ? '' : `-${short}, `}${flagOf(key)} <${placeholder}>`
  const option = new Option(flags, `${summary} (default: ${byDefault})`)
  return [repeatable ? option.argParser(collect) : option]
}

export const startCommand: Command = {
  name: 'start',
  operands: '[script]',
  summary: 'start a script as a cluster, in the foreground',
  examples: [
    'supervisor start app.js -i 4                       four workers',
    'supervisor start app.js -i max -- --port 8080      arguments of app.js after --',
    'supervisor start                                   everything from supervisor.config.js',
    "supervisor start app.ts --node-args '--import tsx'",
    '',
    'Each option can also be set in supervisor.config.{ts,mjs,js,cjs,json} (readyTimeout) and by environment',
    '(FORKSAFE_READY_TIMEOUT). A flag counts before the environment, the environment before the file.',
    '',
    'Signals: SIGTERM, SIGINT stop (the second one at once); SIGUSR2 rolls; SIGHUP rolls, on a terminal it stops.',
  ],
  options: OPTION_KEYS.flatMap(optionOf),
  mistake: 78,
  takesArgs: true,
  run: async (call) => {
    try {
      return await superviseUntilEnd(call)
    } finally {
      // The process ends by itself once its last lines are written. A reader that has stopped, or the channel to a
      // service manager (pm2), cannot keep it: unreferenced, this runs only where something else does.
      setTimeout(() => process.exit(), LAST_LINES_WRITTEN).unref()
    }
  },
}

const superviseUntilEnd = async (call: Call): Promise<number> => {
  const read = settingsReader(call)
  // At the same time: the check of a script may take a process of its own.
  const [settings, { startSupervisor }] = await Promise.all([
    read(),
    import('../../control/start-supervisor.js'),
  ])
  const { ended } = await startSupervisor({
    settings,
    resolve: () => read(settings.name),
    signals: true,
    ownsProcess: true,
  })
  return (await ended).exitCode
}

/** Reads everything anew on each call, and says once what is probably a mistake. */
const settingsReader = ({ flags, operands, args, isJson, screen, env }: Call) => {
  const { json: _json, ...given } = flags
  const [script] = operands
  const cwd = workingFolder(env)
  const told = new Set<string>()
  return async (runningName?: string) => {
    const { settings, warnings } = await resolveSettings({
      flags: {
        ...given,
        ...(script === undefined ? {} : { script }),
        ...(args === undefined ? {} : { args }),
        ...(isJson && given.logFormat === undefined ? { logFormat: 'json' } : {}),
      },
      env,
      cwd,
      ...(runningName === undefined ? {} : { runningName }),
    })
    for (const warning of warnings) {
      if (!told.has(warning)) screen.complain(`warning: ${warning}`)
      told.add(warning)
    }
    return settings
  }
}

const workingFolder = (env: NodeJS.ProcessEnv): string => {
  try {
    return logicalFolder(env)
  } catch (error) {
    throw new ForksafeError(
      'FORKSAFE_ERR_OPTION_INVALID',
      'the working folder does not exist any more; cd to another',
      {
        cause: error,
      },
    )
  }
}
