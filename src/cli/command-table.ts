// Which commands there are, each loaded when it is wanted: `supervisor status` does not read what `supervisor start`
// needs. What a command is stands in command.ts; each lives in a file of its own in src/cli/commands.

import type { Command } from './command.js'

/** To add a command: its line here, in the order of `supervisor --help`. A test compares the keys with the names. */
export const COMMANDS: Readonly<Record<string, () => Promise<Command>>> = {
  start: async () => (await import('./commands/start.js')).startCommand,
  reload: async () => (await import('./commands/reload.js')).reloadCommand,
  stop: async () => (await import('./commands/stop.js')).stopCommand,
  status: async () => (await import('./commands/status.js')).statusCommand,
  logs: async () => (await import('./commands/logs.js')).logsCommand,
}

/** The command that a command line begins with; all of them when it begins otherwise: with help, a flag, a mistake. */
export const commandsFor = (argv: readonly string[]): Promise<readonly Command[]> => {
  const [first] = argv
  const load = first !== undefined && Object.hasOwn(COMMANDS, first) ? COMMANDS[first] : undefined
  return Promise.all((load === undefined ? Object.values(COMMANDS) : [load]).map((each) => each()))
}
