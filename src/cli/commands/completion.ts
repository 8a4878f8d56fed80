// supervisor completion: a script for the shell that asks this command for what fits, and the answer to such a question.
// What fits is decided here alone; the scripts only carry words back and forth.

import { Option } from 'commander'
import { findSupervisors } from '../../control/find-supervisors.js'
import { invalidOption } from '../../shared/option-values.js'
import { runtimeFolder } from '../../shared/runtime-folder.js'
import type { Call, Command } from '../command.js'
import { SCRIPTS } from '../render/completion-script.js'

export const completionCommand: Command = {
  name: 'completion',
  operands: '[shell]',
  summary: 'print a completion script for bash, zsh or fish',
  examples: [
    'source <(supervisor completion bash)                       in ~/.bashrc',
    'source <(supervisor completion zsh)                        in ~/.zshrc, after compinit',
    'supervisor completion fish | source                        in ~/.config/fish/config.fish',
  ],
  options: [new Option('--words', 'print what may follow the words after --').hideHelp()],
  mistake: 2,
  takesArgs: true,
  run: async (call) => {
    if (call.flags.words === true) {
      for (const word of await wordsAfter(call.args ?? [], call)) call.screen.line(word)
      return 0
    }
    const [shell = ''] = call.operands
    const script = Object.hasOwn(SCRIPTS, shell) ? SCRIPTS[shell] : undefined
    if (script === undefined)
      throw invalidOption('shell', shell, `is not one of ${Object.keys(SCRIPTS).join(', ')}`)
    call.screen.write(script)
    return 0
  },
}

/** What may stand in the place of the last word; nothing where a file is expected, so that the shell offers files. */
const wordsAfter = async (words: readonly string[], { env, commands }: Call): Promise<string[]> => {
  const typed = words.at(-1) ?? ''
  const fitting = (candidates: readonly string[]): string[] =>
    candidates.filter((candidate) => candidate.startsWith(typed))
  const [first = ''] = words
  if (words.length <= 1) return fitting([...Object.keys(commands), 'help'])
  if (first === 'help') return fitting(Object.keys(commands))
  const load = Object.hasOwn(commands, first) ? commands[first] : undefined
  if (load === undefined) return []
  if (words.at(-2) === '--name') {
    return fitting((await findSupervisors(runtimeFolder(env))).map(({ name }) => name))
  }
  if (first === 'completion') return fitting(Object.keys(SCRIPTS))
  if (first === 'config' && words.length === 2) return fitting(['check'])
  if (!typed.startsWith('-')) return []
  const { options } = await load()
  return fitting([
    ...options.flatMap(({ long, hidden }) => (long && !hidden ? [long] : [])),
    '--json',
    '--help',
  ])
}
