import t from 'tap'
import { COMMANDS, commandsFor } from '../../src/cli/command-table.js'

const namesFor = async (...argv: string[]): Promise<string[]> =>
  (await commandsFor(argv)).map(({ name }) => name)

t.test('each command is found under its own name', async (t) => {
  for (const [name, load] of Object.entries(COMMANDS)) t.equal((await load()).name, name)
})

t.test('a command line that begins with a command loads that one alone', async (t) => {
  t.same(await namesFor('status', '--json'), ['status'])
  t.same(await namesFor('start', 'status'), ['start'])
})

t.test('help, flags and mistakes see all commands', async (t) => {
  const all = Object.keys(COMMANDS)
  for (const argv of [[], ['help', 'start'], ['--help'], ['--json', 'status'], ['strat'], ['toString']]) {
    t.same(await namesFor(...argv), all, argv.join(' '))
  }
})
