// examples/traps: each trap shows with a plain library and does not with ours, as the table in its README.md says. The
// upstream that counts runs in this process; the programs are real ones.

import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { type Counts, play } from '../../examples/traps/play.js'
import { SCENES } from '../../examples/traps/scenes.js'
import { cleanEnv, uninstrumentChildren } from '../support/clean-children.js'
import { eventually } from '../support/deadline.js'
import { isZombie, markedProcesses } from '../support/process-tree.js'
import { recordingUpstream } from '../support/recording-upstream.js'
import { startSupervisor } from '../support/supervisor-process.js'

uninstrumentChildren()

const FOLDER = 'examples/traps'
const MARK = 'TEST_TRAP_MARK'
/** Every row but its head: what is said of the trap, of ours, and the name. */
const ROW = /^\| (T\d .*?) \| (.*?) \| (.*?) \| \[`([\w-]+)`\]\(\4\) \|$/gm
const FIGURE = /(fewer than |more than )?(\d+) (opened|at once|open|sent|arrived|known|closed|cut|left)\b/g
const COUNT_OF: Record<string, keyof Counts> = { 'at once': 'atOnce' }

const rows = [...readFileSync(`${FOLDER}/README.md`, 'utf8').matchAll(ROW)].map(
  ([, title = '', trap = '', ours = '', name = '']) => ({ title, name, said: { trap, ours } }),
)

/** Temp folders of the programs go here, so that it is seen what is left. */
const folder = mkdtempSync(join(tmpdir(), 'traps-'))
process.env.TMPDIR = folder
t.teardown(() => t.passing() && rmSync(folder, { recursive: true, force: true }))

/** Compares each figure of a cell with what was counted. */
const compare = (t: Test, said: string, counts: Counts): void => {
  const figures = [...said.matchAll(FIGURE)]
  t.ok(figures.length >= 2, `"${said}" has figures`)
  for (const [figure, bound, number, word = ''] of figures) {
    const count = counts[COUNT_OF[word] ?? (word as keyof Counts)]
    const what = `${figure}: ${count}`
    if (bound === 'fewer than ') t.ok(count !== null && count < Number(number), what)
    else if (bound === 'more than ') t.ok(count !== null && count > Number(number), what)
    else t.equal(count, Number(number), what)
  }
}

t.test('the table has every trap, and every trap has its two programs', async (t) => {
  const names = Object.keys(SCENES)
  t.same(
    rows.map(({ name }) => name),
    names,
  )
  t.same(
    rows.map(({ title }) => title.slice(0, 2)),
    names.map((_name, index) => `T${index + 1}`),
  )
  const folders = readdirSync(FOLDER, { withFileTypes: true }).filter((entry) => entry.isDirectory())
  t.same(folders.map(({ name }) => name).sort(), [...names].sort())
  for (const { name } of folders) {
    const files = readdirSync(`${FOLDER}/${name}`)
    t.ok(files.includes('trap.js') && files.includes('ours.js'), name)
  }
})

t.test('what the upstream counts', { jobs: 3 }, async (t) => {
  for (const { title, name, said } of rows)
    for (const version of ['trap', 'ours'] as const)
      t.test(`${title}: ${version}`, { buffered: true }, async (t) => {
        const stop = new AbortController()
        t.teardown(() => stop.abort())
        const mark = `${name} ${version} ${process.pid}`
        const counts = await play(name, version, { env: cleanEnv({ [MARK]: mark }), signal: stop.signal })
        compare(t, said[version], counts)
        await eventually(
          () => markedProcesses(MARK, mark).filter((row) => !isZombie(row)),
          ({ length }) => length === 0,
          { what: 'no process to be left' },
        )
      })
})

t.test(
  'a socket in a request is told with its line when the same program runs under a supervisor',
  async (t) => {
    const upstream = await recordingUpstream(t, { echoes: true })
    const script = `${FOLDER}/socket-in-a-request/trap.js`
    const lines = readFileSync(script, 'utf8').split('\n')
    const at = `${script}:${lines.findIndex((line) => line.includes('new WebSocket(')) + 1}`
    const supervisor = startSupervisor(t, { args: [script], env: { UPSTREAM: upstream.url } })
    const [, port] = await supervisor.waitForLine(/listening .*port: (\d+)/)
    for (const _request of [1, 2]) {
      const answer = await fetch(`http://127.0.0.1:${port}/`, { headers: { connection: 'close' } })
      t.equal(await answer.text(), 'subscribe')
    }
    await supervisor.waitForLine(new RegExp(`warn: worker 0 dialled ws:.* within a request, .*${at}`))
    const { code, stdout } = await supervisor.cli('audit', '--json')
    t.equal(code, 6)
    t.match(JSON.parse(stdout), { findings: [{ kind: 'connectInRequest', count: 2 }] })
  },
)

t.test('nothing is left in the temp folder', async (t) => t.same(readdirSync(folder), []))
