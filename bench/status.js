// node bench/status.js [--rounds 15]: wall time of the command that shows what runs; 2 workers.
// The bare node is what any command written in JavaScript costs.
import { workersAnswer } from './kit/answers.js'
import { spread } from './kit/figures.js'
import { run } from './kit/launch.js'
import { measureInRounds, numbersAsked, printTitle } from './kit/rounds.js'
import { withService } from './kit/service.js'
import { printTable } from './kit/table.js'
import { installed, pm2 } from './targets/pm2.js'
import { supervisor } from './targets/supervisor.js'

const WORKERS = 2
const { rounds } = numbersAsked({ rounds: 15 })
printTitle('A look at what runs', rounds)
const bare = { name: 'bare node', measure: () => timeOf(() => run(['--eval', '0'], {})) }
const commands = installed([supervisor({ name: 'supervisor status' }), pm2({ name: 'pm2 list' })]).map(
  (target) => ({
    name: target.name,
    measure: () =>
      withService(target, WORKERS, async ({ port, list }) => {
        await workersAnswer(port, WORKERS)
        return timeOf(async () => list?.())
      }),
  }),
)
const results = await measureInRounds({
  rounds,
  targets: [bare, ...commands],
  measure: (command) => command.measure(),
})
printTable(
  ['command', 'ms'],
  [...results].map(([{ name }, times]) => [name, spread(times)]),
)

/** @param {() => Promise<unknown>} command */
async function timeOf(command) {
  const begun = performance.now()
  await command()
  return performance.now() - begun
}
