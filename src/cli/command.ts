// What a command is: how it is called, and what it does. The commands: src/cli/commands, one file each.
// How a command line becomes a call: src/cli/command-line.ts.

import type { Option } from 'commander'
import { ControlClient } from '../control/client.js'
import { chooseSupervisor } from '../control/find-supervisors.js'
import type { ControlTarget } from '../control/http-exchange.js'
import { readName } from '../shared/option-values.js'
import { runtimeFolder } from '../shared/runtime-folder.js'
import { VERSION } from '../shared/version.js'
import type { MistakeCode } from './exit-code.js'
import type { Screen } from './screen.js'

export interface Command {
  name: string
  /** Operands, as commander writes them: `[script]`. */
  operands?: string
  summary: string
  /** Shown below the options in `--help`. */
  examples: readonly string[]
  options: readonly Option[]
  /** Exit code for a mistake in the command line. */
  mistake: MistakeCode
  /** Whether `-- args` may follow. */
  takesArgs?: true
  /** @returns the exit code. */
  run(call: Call): Promise<number>
}

/** Commands by name, each loaded when it is wanted. */
export type CommandTable = Readonly<Record<string, () => Promise<Command>>>

/** One use of a command. */
export interface Call {
  /** By attribute name: `--ready-timeout` is `readyTimeout`. Text, a list of texts, or true. */
  flags: Readonly<Record<string, unknown>>
  operands: readonly string[]
  /** What stood after `--`; undefined when there was no `--`. */
  args: readonly string[] | undefined
  isJson: boolean
  screen: Screen
  env: NodeJS.ProcessEnv
  /** All there are: for the command that completes the others. */
  commands: CommandTable
}

/** The supervisor that `--name` or FORKSAFE_NAME names, else the only one that runs. */
export const clientFor = async ({ flags, env, screen }: Call): Promise<ControlClient> =>
  clientOf(await chooseSupervisor(runtimeFolder(env), nameIn(flags, env)), screen)

/** Says once when the supervisor is another version than this command: it runs what was installed when it started. */
export const clientOf = (target: ControlTarget, screen: Screen): ControlClient => {
  let isSaid = false
  return new ControlClient(target, {}, (version) => {
    if (!isSaid)
      screen.complain(
        `warning: supervisor ${target.name} is version ${version}, this command ${VERSION}; stop and start it to run one version`,
      )
    isSaid = true
  })
}

const nameIn = (flags: Call['flags'], env: NodeJS.ProcessEnv): string | undefined => {
  if (flags.name !== undefined) return readName('--name', flags.name, 'text')
  return env.FORKSAFE_NAME ? readName('FORKSAFE_NAME', env.FORKSAFE_NAME, 'text') : undefined
}
