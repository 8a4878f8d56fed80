// From an argument vector to a call of a command, or to help. What is wrong with a command line becomes a coded error of
// one line; how it is shown, and with which exit code the process ends, is src/cli/main.ts.

import { Command as Commander, CommanderError, Option } from 'commander'
import { type ErrorCode, ForksafeError } from '../shared/errors.js'
import { VERSION } from '../shared/version.js'
import type { Call, Command } from './command.js'
import { EXIT_CODES, type MistakeCode } from './exit-code.js'
import type { Screen } from './screen.js'

export type Parsed =
  | { kind: 'call'; command: Command; flags: Call['flags']; operands: string[]; args: string[] | undefined }
  /** Help or the version has been written. */
  | { kind: 'shown'; exitCode: 0 | 2 }

/** A command line that cannot be understood, with the exit code of the command that it was for. */
export class CommandLineError extends ForksafeError {
  readonly mistake: MistakeCode

  constructor(code: ErrorCode, message: string, mistake: MistakeCode) {
    super(code, message)
    this.mistake = mistake
  }
}

/**
 * Parses a command line.
 *
 * @param argv without node and script.
 * @throws CommandLineError naming what is wrong and where help is.
 */
export const parseCommandLine = (
  argv: readonly string[],
  commands: readonly Command[],
  screen: Screen,
): Parsed => {
  const { own, args } = splitAtDashes(argv)
  const named = commands.find(({ name }) => name === own.find((word) => !word.startsWith('-')))
  let parsed: Parsed | undefined
  const program = programOf(screen)
  for (const command of commands) {
    const sub = program.command(command.name).summary(command.summary).description(command.summary)
    if (command.operands !== undefined) sub.arguments(command.operands)
    if (command.takesArgs) sub.usage('[options] [script] [-- arguments of the script]')
    for (const option of [...command.options, JSON_OPTION]) sub.addOption(option)
    sub.addHelpText('after', examples(command.examples))
    sub.action(() => {
      parsed = { kind: 'call', command, flags: sub.opts(), operands: sub.args, args }
    })
  }
  try {
    program.parse([...own], { from: 'user' })
    if (parsed?.kind === 'call' && args !== undefined && !parsed.command.takesArgs) {
      throw new CommanderError(2, 'forksafe.args', `error: ${parsed.command.name} takes nothing after --`)
    }
    return parsed ?? { kind: 'shown', exitCode: 0 }
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error
    if (error.exitCode === 0) return { kind: 'shown', exitCode: 0 }
    if (error.code === 'commander.help') return { kind: 'shown', exitCode: 2 }
    throw mistakeOf(error, named)
  }
}

/** Everything after the first `--` belongs to the script and is not looked at. */
const splitAtDashes = (argv: readonly string[]): { own: readonly string[]; args: string[] | undefined } => {
  const at = argv.indexOf('--')
  return at < 0 ? { own: argv, args: undefined } : { own: argv.slice(0, at), args: argv.slice(at + 1) }
}

const JSON_OPTION = new Option('--json', 'for programs: JSON on stdout, one object a line')

const programOf = (screen: Screen): Commander => {
  const { bold } = screen.colors
  return new Commander('supervisor')
    .description('Runs a Node.js service as a cluster of workers and rolls it without dropping anything.')
    .version(VERSION, '-v, --version', 'print the version')
    .helpOption('-h, --help', 'show this help')
    .helpCommand('help [command]', 'show the help of a command')
    .exitOverride()
    .configureHelp({ styleTitle: bold, styleCommandText: bold, helpWidth: screen.size.columns })
    .configureOutput({
      writeOut: (text) => screen.write(text),
      writeErr: (text) => screen.writeError(text),
      // Shown by main.ts, like every other error.
      outputError: () => {},
      getOutHasColors: () => screen.colors.isColorSupported,
      getErrHasColors: () => false,
    })
    .addHelpText('after', overview)
}

const examples = (lines: readonly string[]): string =>
  `\nExamples:\n${lines.map((line) => (line === '' ? '\n' : `  ${line}\n`)).join('')}`

const overview = (): string =>
  [
    examples([
      'supervisor start app.js -i max        one worker for each CPU, in the foreground',
      'supervisor reload                     roll all workers to the release that app.js is now',
      'supervisor logs -f                    follow the output of all workers',
    ]),
    'Exit codes:',
    ...Object.entries(EXIT_CODES).map(([code, meaning]) => `  ${code.padStart(2)}  ${meaning}`),
    '',
  ].join('\n')

const mistakeOf = (error: CommanderError, command: Command | undefined): CommandLineError => {
  const code =
    error.code === 'commander.unknownOption' ? 'FORKSAFE_ERR_OPTION_UNKNOWN' : 'FORKSAFE_ERR_OPTION_INVALID'
  const lines = error.message.replace(/^error: /, '').split('\n')
  const what = lines.map((line) => line.replace(/^\((.*)\)$/, '$1')).join('; ')
  const hint =
    command?.takesArgs && /option|arguments/.test(what) ? `; arguments of the script go after --` : ''
  const help = command === undefined ? 'supervisor --help' : `supervisor ${command.name} --help`
  return new CommandLineError(code, `${what}${hint}; see '${help}'`, command?.mistake ?? 2)
}
