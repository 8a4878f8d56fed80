// node bench/exclusive.js [--rounds 3] [--restarts 4] [--kills 4]: one app of four workers that shall have one upstream
// connection, under this supervisor with `exclusive: true`, under pm2 with the recipe that is usual there (only the
// process with NODE_APP_INSTANCE 0 connects), and under pm2 without it. At rest, in rolling restarts, and when the process
// that has the connection is killed by SIGKILL; what happened is read off the upstream alone.
//
// Whoever can send sends a numbered message each few ms all the time: with the recipe that is one worker, else all four.
import { mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { workersAnswer } from './kit/answers.js'
import { quantile, spread } from './kit/figures.js'
import { inFolder } from './kit/launch.js'
import { isTry, numbersAsked, printTitle } from './kit/rounds.js'
import { withService } from './kit/service.js'
import { printTable } from './kit/table.js'
import { changesOf, mostAtOnce, startRecorder } from './kit/upstream.js'
import { installed, pm2 } from './targets/pm2.js'
import { supervisor } from './targets/supervisor.js'

const WORKERS = isTry ? 2 : 4
const EVERY = 5
const REDIALS = isTry ? 5 : 50
/** ms that a connection of the plain client stays open. */
const STAY = 40
const REST = isTry ? 200 : 2_000
/** After a kill, so that what is started again is there before the next. */
const BETWEEN_KILLS = isTry ? 0 : 1_000
const APP = 'bench/peers/exclusive-app.js'
const { rounds, restarts, kills } = numbersAsked(
  { rounds: 3, restarts: 4, kills: 4 },
  { restarts: 1, kills: 1 },
)

/** @typedef {(env: NodeJS.ProcessEnv) => import('./kit/service.js').Target} MakeTarget */
/** @type {Map<string, { make: MakeTarget, isOne: boolean }>} `isOne`: whoever takes over after a kill may be any worker. */
const ways = new Map([
  [
    'supervisor, exclusive: true',
    { make: (env) => supervisor({ app: APP, env: { ...env, GUARD: 'forksafe' } }), isOne: true },
  ],
  [
    'pm2, only instance 0',
    { make: (env) => pm2({ app: APP, env: { ...env, GUARD: 'instance-0' } }), isOne: false },
  ],
  ['pm2, no guard', { make: (env) => pm2({ app: APP, env: { ...env, GUARD: 'none' } }), isOne: false }],
])
const pause = (/** @type {number} */ ms) => new Promise((resolve) => setTimeout(resolve, ms))
const PHASES = ['at rest', 'rolling restarts', 'kill -9']

/** @typedef {import('./kit/upstream.js').Change} Change */
/** @typedef {{ most: number, changes: Change[] }} Phase */
/** @typedef {{ made: number, lost: number, doubled: number }} Messages */
/** @typedef {{ phases: Phase[], reopened: number[], messages: Record<Maker, Messages>, bare: Change[] }} Figure */
/** @typedef {typeof MAKERS[number]} Maker */
const MAKERS = /** @type {const} */ (['workers that ended in order', 'workers that were killed'])

printTitle('Exclusive connections: one of four workers', rounds)
const names = installed(
  [...ways.keys()].map((name) => ({ name, start: () => Promise.reject(new Error(name)) })),
).map(({ name }) => name)
/** @type {Map<string, Figure[]>} */
const results = new Map(names.map((name) => [name, []]))
for (let round = 1; round <= rounds; round++) {
  for (const name of names) results.get(name)?.push(await inFolder((folder) => measure(name, folder)))
}
printConnections()
printMessages()

function printConnections() {
  const bare = [...results.values()].flat().flatMap((figure) => figure.bare.map(({ gap }) => gap))
  const rows = PHASES.flatMap((phase, at) =>
    [...results].map(([name, figures]) => {
      const changes = figures.flatMap(({ phases }) => phases[at]?.changes ?? [])
      const gaps = changes.filter(({ gap }) => gap >= 0).map(({ gap }) => gap)
      const overlaps = changes.filter(({ gap }) => gap < 0).map(({ gap }) => -gap)
      const most = Math.max(...figures.map(({ phases }) => phases[at]?.most ?? 0))
      return [phase, name, most, `${overlaps.length} of ${changes.length}`, ...msOf(overlaps), ...msOf(gaps)]
    }),
  )
  const killed = [...results].map(([name, figures]) => {
    const times = figures.flatMap(({ reopened }) => reopened)
    return ['from the kill -9', name, '', '', ...msOf([]), ...msOf(times)]
  })
  const head = [
    '',
    'target',
    'most open at once',
    'opened beside another',
    'beside it, ms',
    'p95',
    'gap, ms',
    'p95',
  ]
  printTable(head, [
    ...rows,
    ...killed,
    ['bare connect', 'ws', 1, `0 of ${bare.length}`, ...msOf([]), ...msOf(bare)],
  ])
  console.log(
    'Goal for exclusive: never more than one. The gap without any lease is that of the bare connect.',
  )
}

/** Median and range, and p95. @param {readonly number[]} values */
function msOf(values) {
  return values.length === 0 ? ['-', '-'] : [spread(values, 1), quantile(values, 0.95).toFixed(1)]
}

function printMessages() {
  printTable(
    ['target', 'made by', 'messages', 'lost', 'came twice'],
    [...results].flatMap(([name, figures]) =>
      MAKERS.map((maker) => {
        const all = figures.map(({ messages }) => messages[maker])
        const sum = (/** @type {keyof Messages} */ what) => all.reduce((sum, each) => sum + each[what], 0)
        return [name, maker, sum('made'), sum('lost'), sum('doubled')]
      }),
    ),
  )
  console.log('Goal for exclusive: of workers that were not killed none is lost.')
}

/** @param {string} name @param {string} folder @returns {Promise<Figure>} */
async function measure(name, folder) {
  const way = ways.get(name)
  if (way === undefined) throw new Error(name)
  const recorder = await startRecorder()
  try {
    const journals = join(folder, 'journals')
    mkdirSync(journals)
    const target = way.make({ UPSTREAM: recorder.url('feed'), EVERY: String(EVERY), JOURNALS: journals })
    const bare = await recorder.redial(REDIALS, STAY)
    /** @type {Set<string>} */
    const killed = new Set()
    const use = (/** @type {{ port: number, roll: () => Promise<unknown> }} */ service) =>
      play(service, recorder, way.isOne, killed)
    const { moments, reopened } = await withService(target, WORKERS, use)
    const { spans, messages } = await recorder.all()
    const changes = changesOf(spans, 'feed')
    const phases = PHASES.map((_, at) => {
      const [from = 0, to = 0] = moments.slice(at, at + 2)
      const own = changes.filter((change) => change.at > from && change.at <= to)
      return { most: mostAtOnce(spans, 'feed', from, to), changes: own }
    })
    return { phases, reopened, bare, messages: judge(journals, messages, killed) }
  } finally {
    await recorder.end()
  }
}

/**
 * @param {{ port: number, roll: () => Promise<unknown> }} service @param {import('./kit/upstream.js').Recorder} recorder
 * @param {boolean} isOne @param {Set<string>} killed The pids of who was killed are added.
 */
async function play({ port, roll }, recorder, isOne, killed) {
  await workersAnswer(port, WORKERS)
  const moments = [recorder.now()]
  await pause(REST)
  moments.push(recorder.now())
  for (let restart = 0; restart < restarts; restart++) await roll()
  moments.push(recorder.now())
  /** @type {number[]} */
  const reopened = []
  for (let kill = 0; kill < kills; kill++) {
    const [holder] = await recorder.open('feed')
    if (holder === undefined) throw new Error('nobody has the connection')
    const [slot = '', pid = ''] = holder.who.split('.')
    const isNext = (/** @type {{ identity: string, who: string }} */ span) =>
      span.identity === 'feed' && span.who !== holder.who && (isOne || span.who.startsWith(`${slot}.`))
    const next = recorder.opening(isNext, 'the next connection')
    killed.add(pid)
    const at = recorder.now()
    process.kill(Number(pid), 'SIGKILL')
    reopened.push((await next).opened - at)
    await pause(BETWEEN_KILLS)
  }
  moments.push(recorder.now())
  return { moments, reopened }
}

/** After the service has ended in order. @param {string} journals @param {Map<string, number>} came @param {Set<string>} killed @returns {Record<Maker, Messages>} */
function judge(journals, came, killed) {
  const [inOrder, byForce] = MAKERS
  const result = { [inOrder]: { made: 0, lost: 0, doubled: 0 }, [byForce]: { made: 0, lost: 0, doubled: 0 } }
  for (const pid of readdirSync(journals)) {
    const own = result[killed.has(pid) ? byForce : inOrder]
    for (const name of readFileSync(join(journals, pid), 'utf8').split('\n').slice(0, -1)) {
      const times = came.get(name) ?? 0
      own.made++
      if (times === 0) own.lost++
      if (times > 1) own.doubled++
    }
  }
  return result
}
