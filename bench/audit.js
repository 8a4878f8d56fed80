// node bench/audit.js [--rounds 15] [--sockets 10000] [--fork 1000]: what a look at all sockets of a tree costs whoever
// takes it, beside `ss` and `lsof` in the same round; the look after a fork, which wants inodes alone; and both as a
// supervisor does them, `supervisor audit` and the fork audit.
//
// The delay is that of the event loop of the process that asks: so long had to wait what else it had to do.
import { execFile, fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'
import { socketInodesOf } from '../dist/audit/socket-inodes.js'
import { takeSnapshot } from '../dist/audit/take-snapshot.js'
import { ratio, spread } from './kit/figures.js'
import { inFolder, killIfThere, ROOT, undoOnExit } from './kit/launch.js'
import { measureInRounds, numbersAsked, printTitle } from './kit/rounds.js'
import { printTable } from './kit/table.js'

const PROCESSES = 5
const WORKERS = 4
const SS = '/usr/bin/ss'
const LSOF = '/usr/bin/lsof'
const MOST_OUTPUT = 256 * 2 ** 20
const TIMEOUT = 60_000
const asked = numbersAsked({ rounds: 15, sockets: 10_000, fork: 1_000 }, { sockets: 200, fork: 100 })
const { rounds } = asked

/** @typedef {{ name: string, needs?: string, look: () => Promise<unknown> }} Look  `needs`: a program without which it is left out. */
/** @typedef {{ ms: number, delay: number }} Figure */

printTitle('A look at all sockets of a tree', rounds)
await withTree(Math.ceil(asked.sockets / PROCESSES), PROCESSES - 1, compareLooks)
await withTree(Math.ceil(asked.fork / 2), 1, lookAfterFork)
await auditOfSupervisor(Math.ceil(asked.sockets / WORKERS))
await forkAuditOfSupervisor(Math.ceil(asked.fork / 2))

/** @param {readonly number[]} pids @param {number} least */
async function compareLooks(pids, least) {
  /** @type {Look} */
  const snapshot = { name: 'snapshot', look: async () => count((await takeSnapshot(pids)).processes, least) }
  /** @type {Look[]} */
  const others = [
    { name: 'inodes alone', look: () => Promise.all(pids.map(socketInodesOf)) },
    { name: 'ss -tanp', needs: SS, look: () => run(SS, ['-tanp']) },
    { name: 'lsof -nP -p', needs: LSOF, look: () => run(LSOF, ['-nP', '-p', pids.join(',')]) },
    {
      name: 'snapshot from lsof',
      needs: LSOF,
      look: async () => count((await takeSnapshot(pids, { source: 'lsof' })).processes, least),
    },
  ]
  const head = `${least} sockets of ${pids.length} processes`
  await compare(head, snapshot, [snapshot, ...others])
  console.log('Goals: a snapshot of 10000 sockets < 1000 ms, the event loop never blocked for > 50 ms.')
}

/** @param {readonly number[]} pids @param {number} least */
async function lookAfterFork(pids, least) {
  const [primary = 0, worker = 0] = pids
  const diff = {
    name: 'what both hold, by inode',
    look: async () => {
      const [ours, theirs] = [await socketInodesOf(primary), await socketInodesOf(worker)]
      if (ours.size + theirs.size < least) throw new Error('not all sockets were found')
      return [...theirs.keys()].filter((inode) => ours.has(inode))
    },
  }
  const whole = { name: 'snapshot', look: () => takeSnapshot(pids) }
  await compare(`${least} sockets of primary and worker`, diff, [diff, whole])
  console.log('Goal: the diff of 1000 sockets < 20 ms.')
}

/** @param {string} head @param {Look} base @param {Look[]} all */
async function compare(head, base, all) {
  const targets = all.filter(({ name, needs }) => {
    const isThere = needs === undefined || existsSync(needs)
    if (!isThere) console.log(`${name} is left out: there is no ${needs}`)
    return isThere
  })
  const results = await measureInRounds({ rounds, targets, measure })
  const times = (/** @type {Look} */ look) => (results.get(look) ?? []).map(({ ms }) => ms)
  const delays = (/** @type {Look} */ look) => (results.get(look) ?? []).map(({ delay }) => delay)
  printTable(
    [head, 'ms', `ratio to ${base.name}`, 'worst delay of the event loop, ms'],
    targets.map((look) => [
      look.name,
      spread(times(look), 1),
      ratio(times(look), times(base)),
      spread(delays(look), 1),
    ]),
  )
}

/** @param {Look} look @returns {Promise<Figure>} */
async function measure({ look }) {
  const delays = monitorEventLoopDelay({ resolution: 1 })
  delays.enable()
  const begun = performance.now()
  await look()
  const ms = performance.now() - begun
  // The last slice is seen by the timer that fires after it.
  await new Promise((resolve) => setTimeout(resolve, 5))
  delays.disable()
  return { ms, delay: delays.max / 1e6 }
}

/** @param {readonly { sockets: readonly unknown[] }[]} processes @param {number} least */
function count(processes, least) {
  const found = processes.reduce((sum, { sockets }) => sum + sockets.length, 0)
  if (found < least) throw new Error(`${found} of ${least} sockets were found`)
}

/** The whole command, with the second look that it takes because so many connections are a finding. @param {number} each */
async function auditOfSupervisor(each) {
  await withSupervisor(each, WORKERS, async ({ ask, env }) => {
    /** @type {Figure[]} */
    const figures = []
    for (let round = 0; round < rounds; round++) {
      await ask('begin')
      const begun = performance.now()
      const cli = spawn(process.execPath, ['bin/supervisor.js', 'audit'], { cwd: ROOT, env, stdio: 'ignore' })
      const [code] = await once(cli, 'exit')
      const ms = performance.now() - begun
      if (code !== 6) throw new Error(`supervisor audit ended with ${code}`)
      figures.push({ ms, delay: Number(await ask('end')) })
    }
    printTable(
      [
        `${each * WORKERS} sockets of ${WORKERS} workers`,
        'ms',
        "worst delay of the primary's event loop, ms",
      ],
      [
        [
          'supervisor audit',
          spread(
            figures.map(({ ms }) => ms),
            0,
          ),
          spread(
            figures.map(({ delay }) => delay),
            1,
          ),
        ],
        ['of it between two looks', '250', ''],
      ],
    )
    console.log('Goals: 10000 sockets < 1000 ms, the event loop never blocked for > 50 ms.')
  })
}

/** @param {number} each */
async function forkAuditOfSupervisor(each) {
  await withSupervisor(each, 2, async ({ ask, looks }) => {
    looks.length = 0
    for (let round = 0; round < rounds; round++) await ask('reload')
    printTable(
      [`${each * 2} sockets of 2 workers`, 'ms'],
      [
        ['a look after a fork, or at readiness', spread(looks, 1)],
        ['looks', String(looks.length)],
      ],
    )
    console.log('Goal: < 20 ms.')
  })
}

/**
 * @typedef {object} Supervised
 * @property {(what: 'begin' | 'end' | 'reload') => Promise<unknown>} ask
 * @property {number[]} looks How long each look of the fork audit took, in ms.
 * @property {NodeJS.ProcessEnv} env With which its command line finds it.
 */

/** @param {number} each @param {number} workers @param {(supervised: Supervised) => Promise<void>} use */
async function withSupervisor(each, workers, use) {
  await inFolder(async (folder) => {
    const env = { ...process.env, FORKSAFE_HOME: join(folder, 'run'), NO_COLOR: '1' }
    const peer = join(ROOT, 'bench/peers/supervises-sockets.js')
    const primary = fork(peer, [String(each), String(workers)], {
      env,
      detached: true,
      stdio: ['ignore', 'pipe', 'ignore', 'ipc'],
    })
    const forget = undoOnExit(() => killIfThere(-(primary.pid ?? 0)))
    const ended = once(primary, 'exit')
    /** @type {number[]} */
    const looks = []
    if (primary.stdout !== null)
      createInterface({ input: primary.stdout }).on('line', (line) => {
        if (line.includes('"forkAuditDone"')) looks.push(Number(JSON.parse(line).ms))
      })
    const answer = async () => {
      const [message] = await Promise.race([once(primary, 'message'), ended.then(() => [null])])
      if (message === null) throw new Error('the supervisor ended too early')
      return message
    }
    try {
      await answer()
      const ask = async (/** @type {string} */ what) => {
        const answered = answer()
        primary.send(what)
        return answered
      }
      await use({ ask, looks, env })
    } finally {
      if (primary.connected) primary.disconnect()
      await ended
      forget()
    }
  })
}

/** @param {string} command @param {string[]} args */
function run(command, args) {
  const options = { maxBuffer: MOST_OUTPUT, timeout: TIMEOUT, killSignal: /** @type {const} */ ('SIGKILL') }
  return promisify(execFile)(command, args, options)
}

/**
 * @param {number} each Sockets of a process. @param {number} children Beside the root.
 * @param {(pids: readonly number[], sockets: number) => Promise<void>} use
 */
async function withTree(each, children, use) {
  const root = fork(join(ROOT, 'bench/peers/holds-sockets.js'), [String(each), String(children)])
  const forget = undoOnExit(() => root.kill('SIGKILL'))
  const ended = once(root, 'exit')
  try {
    const [pids] = await Promise.race([once(root, 'message'), ended.then(() => [null])])
    if (!Array.isArray(pids)) throw new Error('the tree ended before its sockets were open')
    await use(pids, each * pids.length)
  } finally {
    if (root.connected) root.disconnect()
    await ended
    forget()
  }
}
