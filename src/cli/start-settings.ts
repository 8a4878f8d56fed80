// What `start` and `config check` have in common: the flags of the option table, and reading everything anew.

import { Option } from 'commander'
import { ForksafeError } from '../shared/errors.js'
import { logicalFolder } from '../shared/logical-folder.js'
import { flagOf, OPTION_KEYS, OPTIONS, type OptionKey } from '../shared/option-table.js'
import { type ResolvedSettings, resolveSettings, type SettingsSources } from '../shared/resolve-settings.js'
import type { Call } from './command.js'

export const collect = (value: string, earlier: string[] | undefined): string[] => [...(earlier ?? []), value]

const optionOf = (key: OptionKey): Option[] => {
  const { placeholder, short, summary, byDefault, repeatable } = OPTIONS[key]
  if (placeholder === null) return []
  const flags = `${short === undefined ? '' : `-${short}, `}${flagOf(key)} <${placeholder}>`
  const option = new Option(flags, `${summary} (default: ${byDefault})`)
  return [repeatable ? option.argParser(collect) : option]
}

/** The flags of all options that have one. */
export const startOptions = (): Option[] => OPTION_KEYS.flatMap(optionOf)

/**
 * Reads everything anew on each call, and says once what is probably a mistake.
 *
 * @param relay what the command line says of a relay, read anew too; then no configuration file is looked for.
 */
export const settingsReader = (
  { flags, operands, args, isJson, screen, env }: Call,
  relay?: () => SettingsSources['relay'],
) => {
  const { json: _json, detach: _detach, secret, ...given } = flags
  const [script] = operands
  const cwd = workingFolder(env)
  const told = new Set<string>()
  return async (runningName?: string): Promise<ResolvedSettings> => {
    const resolved = await resolveSettings({
      flags: {
        ...given,
        ...(secret === undefined ? {} : { secrets: secret }),
        ...(script === undefined ? {} : { script }),
        ...(args === undefined ? {} : { args }),
        ...(isJson && given.logFormat === undefined ? { logFormat: 'json' } : {}),
      },
      env,
      cwd,
      ...(relay === undefined ? {} : { relay: relay(), searchConfig: false }),
      ...(runningName === undefined ? {} : { runningName }),
    })
    for (const warning of resolved.warnings) {
      if (!told.has(warning)) screen.complain(`warning: ${warning}`)
      told.add(warning)
    }
    return resolved
  }
}

const workingFolder = (env: NodeJS.ProcessEnv): string => {
  try {
    return logicalFolder(env)
  } catch (error) {
    throw new ForksafeError(
      'FORKSAFE_ERR_OPTION_INVALID',
      'the working folder does not exist any more; cd to another',
      { cause: error },
    )
  }
}
