// What becomes of lines when nobody takes them: a full disk under the log file or under a redirected stdout, a reader
// that stops, a reader that leaves. The service answers all the while, each lost line is counted, and when lines flow
// again one says how many are missing.

import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { uninstrumentChildren } from '../support/clean-children.js'
import { eventually } from '../support/deadline.js'
import { freePort } from '../support/free-port.js'
import { CLI } from '../support/run-cli.js'
import { type SupervisorProcess, startSupervisor } from '../support/supervisor-process.js'

uninstrumentChildren()

const APP = 'test/process/fixtures/writes-lines.js'
const NODE = `'${process.execPath}' '${CLI}' start ${APP} --min-uptime 100ms`
/** More than waits in memory for any one output: 4 MiB. */
const MANY = 6_000

interface World {
  supervisor: SupervisorProcess
  ask: (lines: number) => Promise<void>
}

/** Runs `supervisor start` by a shell, with redirections and readers as people write them. */
const startByShell = async (t: Test, shell: string): Promise<World> => {
  const port = await freePort()
  const supervisor = startSupervisor(t, {
    executable: 'sh',
    program: ['-c', shell],
    env: { PORT: String(port) },
  })
  await supervisor.waitUntilReady(20_000)
  const ask = async (lines: number): Promise<void> => {
    const answer = await fetch(`http://127.0.0.1:${port}/${lines}`)
    if (!/^\d+$/.test(await answer.text())) throw new Error('no pid came back')
  }
  return { supervisor, ask }
}

const sh = (command: string): unknown => execFileSync('sh', ['-c', command], { stdio: 'ignore' })

/** A folder on a disk of 300 KiB; null where this user may not mount. */
const smallDisk = (t: Test): { folder: string; grow: () => void } | null => {
  const folder = mkdtempSync(join(tmpdir(), 'forksafe-disk-'))
  try {
    sh(`mount -t tmpfs -o size=300k,mode=0700 forksafe-test '${folder}'`)
  } catch {
    rmdirSync(folder)
    return null
  }
  t.teardown(() => {
    sh(`umount '${folder}'`)
    rmdirSync(folder)
  })
  return { folder, grow: () => void sh(`mount -o remount,size=64m '${folder}'`) }
}

const dropped = async ({ supervisor }: World): Promise<number> => (await supervisor.status()).logs.dropped

/** Asks until the service has answered often while the log was stuck. */
const isServed = async ({ ask }: World): Promise<void> => {
  for (let asked = 0; asked < 20; asked++) await ask(0)
}

/** The loss that lines in a file tell of. */
const lossIn = (text: string): number =>
  [...text.matchAll(/ (\d+) lines? w(?:as|ere) dropped here: /g)].reduce(
    (sum, [, count]) => sum + Number(count),
    0,
  )

/** Whole ones. */
const linesIn = (text: string): string[] =>
  text
    .split('\n')
    .filter((line) => /\] line \d+ x+$/.test(line) && line.length - line.indexOf('] line') === 1_002)

/** Each line is in the file, whole and in order, or among those that are said to be missing. */
const addsUp = async (t: Test, world: World, path: string, total: number): Promise<void> => {
  const text = await eventually(
    () => readFileSync(path, 'utf8'),
    (now) => lossIn(now) > 0 && linesIn(now).length + lossIn(now) >= total,
    { what: 'the lines that waited and the number of those that did not' },
  )
  t.equal(linesIn(text).length + lossIn(text), total)
  t.equal(await dropped(world), lossIn(text), 'status says the same')
  const numbers = linesIn(text).map((line) => Number(/\] line (\d+) /.exec(line)?.[1]))
  t.same(
    numbers,
    [...new Set(numbers)].sort((a, b) => a - b),
    'no line twice, none out of order',
  )
}

const stops = async (t: Test, { supervisor }: World): Promise<void> => {
  const { code, stderr } = await supervisor.cli('stop')
  t.equal(code, 0, stderr)
  t.match(await supervisor.leavesNothing(), { signal: null })
}

t.test('a full disk under the log file', async (t) => {
  const disk = smallDisk(t)
  if (disk === null) return void t.pass('a disk that fills', { skip: 'needs the right to mount a tmpfs' })
  const path = join(disk.folder, 'logs', 'api.log')
  const world = await startByShell(t, `exec ${NODE} --log-file '${path}' > /dev/null`)
  await world.ask(MANY)
  await isServed(world)
  t.ok((await dropped(world)) > 1_000)
  await world.supervisor.waitForLine(
    /warn: log file .*api\.log cannot be written: ENOSPC: .*tried again each second/,
  )
  t.match((await world.supervisor.cli('status')).stdout, /\d+ lines of the log could not be written out/)
  disk.grow()
  await addsUp(t, world, path, MANY)
  await world.ask(1)
  await addsUp(t, world, path, MANY + 1)
  await stops(t, world)
})

t.test('a full disk under a redirected stdout', async (t) => {
  const disk = smallDisk(t)
  if (disk === null) return void t.pass('a disk that fills', { skip: 'needs the right to mount a tmpfs' })
  const path = join(disk.folder, 'out')
  const world = await startByShell(t, `exec ${NODE} > '${path}' 2>&1`)
  await world.ask(MANY)
  await isServed(world)
  t.ok((await dropped(world)) > 1_000)
  disk.grow()
  await addsUp(t, world, path, MANY)
  await stops(t, world)
})

t.test('a stdout that is always full', async (t) => {
  const world = await startByShell(t, `exec ${NODE} > /dev/full`)
  await world.ask(MANY)
  await isServed(world)
  t.ok((await dropped(world)) > 1_000)
  await world.supervisor.waitForLine(/warn: stdout cannot be written: ENOSPC/)
  await stops(t, world)
})

t.test('a reader that leaves after the first line', async (t) => {
  const world = await startByShell(t, `${NODE} | head -1`)
  await world.ask(10)
  await isServed(world)
  await eventually(
    () => dropped(world),
    (count) => count > 0,
    { what: 'lines to be dropped' },
  )
  t.equal(world.supervisor.lines.filter((line) => /starting/.test(line)).length, 1)
  t.match((await world.supervisor.cli('logs', '-n', '1')).stdout, /^\[0:\d+ g1\] line 10 x+\n$/)
  await stops(t, world)
})

t.test('a reader that stops and goes on', async (t) => {
  const folder = t.testdir({})
  const path = join(folder, 'read')
  const world = await startByShell(t, `${NODE} 2>&1 | sh -c 'kill -STOP $$; exec cat' > '${path}'`)
  const reader = await eventually(
    () => world.supervisor.members().find(({ state }) => state === 'T'),
    (row) => row !== undefined,
    { what: 'the reader to have stopped' },
  )
  await world.ask(MANY)
  await isServed(world)
  t.ok((await dropped(world)) > 1_000)
  process.kill(reader?.pid ?? 0, 'SIGCONT')
  await addsUp(t, world, path, MANY)
  await stops(t, world)
})
