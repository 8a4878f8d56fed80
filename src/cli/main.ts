// The command `supervisor`: finds the command, runs it, says what went wrong, and sets the exit code.
// The process ends by itself when nothing is left to do, so that what was written also arrives.

import { ForksafeError, messageOf } from '../shared/errors.js'
import { printable } from '../shared/printable.js'
import { CommandLineError, parseCommandLine } from './command-line.js'
import { commandsFor } from './command-table.js'
import { exitCodeOf, type MistakeCode } from './exit-code.js'
import { Screen } from './screen.js'

/** @param argv without node and script. */
export const main = async (argv: readonly string[]): Promise<void> => {
  const screen = new Screen(process.stdout, process.stderr, process.env)
  process.exitCode = await run(argv, screen, process.env)
}

const run = async (argv: readonly string[], screen: Screen, env: NodeJS.ProcessEnv): Promise<number> => {
  let mistake: MistakeCode = 2
  let isJson = argv.slice(0, argv.indexOf('--') >>> 0).includes('--json')
  try {
    const parsed = parseCommandLine(argv, await commandsFor(argv), screen)
    if (parsed.kind === 'shown') return parsed.exitCode
    const { command, flags, operands, args } = parsed
    mistake = command.mistake
    isJson = flags.json === true
    return await command.run({ flags, operands, args, isJson, screen, env })
  } catch (error) {
    if (error instanceof CommandLineError) mistake = error.mistake
    complain(error, screen, isJson, env)
    return exitCodeOf(error, mistake)
  }
}

const complain = (error: unknown, screen: Screen, isJson: boolean, env: NodeJS.ProcessEnv): void => {
  const isOurs = error instanceof ForksafeError
  const message = isOurs
    ? error.message
    : `unexpected: ${messageOf(error)}; set FORKSAFE_DEBUG=1 for the stack`
  screen.complain(message)
  if (env.FORKSAFE_DEBUG && error instanceof Error) {
    screen.writeError(`${(error.stack ?? '').split('\n').map(printable).join('\n')}\n`)
  }
  if (isJson) screen.json({ error: { code: isOurs ? error.code : 'UNEXPECTED', message } })
}
