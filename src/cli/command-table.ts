// Which commands there are, each loaded when it is wanted: `supervisor status` does not read what `supervisor start`
// needs. What a command is stands in command.ts; each lives in a file of its own in src/cli/commands.

import type { Command, CommandTable } from './command.js'

/** To add a command: its line here, in the order of `supervisor --help`. A test compares the keys with the names. */
export const COMMANDS: CommandTable = {
  start: async () => (await import('./commands/start.js')).startCommand,
  relay: async () => (await import('./commands/relay.js')).relayCommand,
  reload: async () => (await import('./commands/reload.js')).reloadCommand,
  restart: async () => (await import('./commands/restart.js')).restartCommand,
  scale: async () => (await import('./commands/scale.js')).scaleCommand,
  handoff: async () => (await import('./commands/handoff.js')).handoffCommand,
  stop: async () => (await import('./commands/stop.js')).stopCommand,
  status: async () => (await import('./commands/status.js')).statusCommand,
  audit: async () => (await import('./commands/audit.js')).auditCommand,
  ls: async () => (await import('./commands/ls.js')).lsCommand,
  logs: async () => (await import('./commands/logs.js')).logsCommand,
  'log-level': async () => (await import('./commands/log-level.js')).logLevelCommand,
  publish: async () => (await import('./commands/publish.js')).publishCommand,
  spool: async () => (await import('./commands/spool.js')).spoolCommand,
  config: async () => (await import('./commands/config.js')).configCommand,
  completion: async () => (await import('./commands/completion.js')).completionCommand,
}

/** The command that a command line begins with; all of them when it begins otherwise: with help, a flag, a mistake. */
export const commandsFor = (argv: readonly string[]): Promise<readonly Command[]> => {
  const [first] = argv
  const load = first !== undefined && Object.hasOwn(COMMANDS, first) ? COMMANDS[first] : undefined
  return Promise.all((load === undefined ? Object.values(COMMANDS) : [load]).map((each) => each()))
}
