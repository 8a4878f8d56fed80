// node bench/restart.js [--rounds 7]: a rolling restart of an idle service, from the command until the last replacement has
// answered, until the last old worker is gone, and until the command returns.
//
// `by signal` is the like of the hand-written primary: SIGUSR2, no process for a command. The first replacement is watched
// for `minUptime` (1 s) on purpose, before it takes over; `--min-uptime 0` shows the restart without that.
import { workersAnswer, workersReplaced } from './kit/answers.js'
import { ratio, spread } from './kit/figures.js'
import { isTry, measureInRounds, numbersAsked, printTitle } from './kit/rounds.js'
import { withService } from './kit/service.js'
import { printTable } from './kit/table.js'
import { installed, pm2 } from './targets/pm2.js'
import { raw } from './targets/raw.js'
import { supervisor } from './targets/supervisor.js'

const { rounds } = numbersAsked({ rounds: 7 })
printTitle('Rolling restart of an idle service', rounds)
const targets = installed([
  raw,
  supervisor({
    name: 'supervisor --min-uptime 0, by signal',
    flags: ['--min-uptime', '0'],
    rollBy: 'signal',
  }),
  supervisor({ name: 'supervisor --min-uptime 0, by command', flags: ['--min-uptime', '0'] }),
  supervisor({ name: 'supervisor, by command' }),
  pm2({ name: 'pm2, by command' }),
])
const rows = []
for (const workers of isTry ? [2] : [2, 4]) {
  const results = await measureInRounds({
    rounds,
    targets: isTry ? targets.slice(0, 2) : targets,
    measure: (target) => withService(target, workers, (service) => restart(service, workers)),
  })
  const base = results.get(raw)?.map(({ answered }) => answered) ?? []
  for (const [{ name }, times] of results) {
    const answered = times.map((time) => time.answered)
    rows.push([
      workers,
      name,
      spread(answered),
      ratio(answered, base),
      spread(times.map(({ gone }) => gone)),
      spread(times.map(({ returned }) => returned)),
    ])
  }
}
printTable(
  [
    'workers',
    'target',
    'last replacement answers, ms',
    'ratio to raw',
    'last old worker gone, ms',
    'command returns, ms',
  ],
  rows,
)

/** @param {import('./kit/service.js').Service & import('./kit/service.js').Place} service @param {number} workers */
async function restart({ port, roll }, workers) {
  const old = await workersAnswer(port, workers)
  const begun = performance.now()
  const since = () => performance.now() - begun
  const rolled = roll().then(since)
  let answered = 0
  await workersReplaced(port, old, () => {
    answered = since()
  })
  return { answered, gone: since(), returned: await rolled }
}
