// What a supervisor does when the parent that keeps an IPC channel to it, as pm2 does, goes away.

import t, { type Test } from 'tap'
import { askPid } from '../support/ask-pid.js'
import { uninstrumentChildren } from '../support/clean-children.js'
import { eventually } from '../support/deadline.js'
import { freePort } from '../support/free-port.js'
import { recordingUpstream } from '../support/recording-upstream.js'
import { type SupervisorProcess, startSupervisor } from '../support/supervisor-process.js'

uninstrumentChildren()

const NAME = 'child'
const ARGS = ['test/process/fixtures/http-and-feed.js', '--name', NAME, '--min-uptime', '100ms']

const start = async (
  t: Test,
  { args = [], port, home }: { args?: string[]; port: number; home?: string },
) => {
  const upstream = await recordingUpstream(t)
  const parent = startSupervisor(t, {
    program: ['test/process/fixtures/forks-a-supervisor.js', ...ARGS, ...args],
    name: NAME,
    env: { UPSTREAM: upstream.url, PORT: String(port) },
    ...(home === undefined ? {} : { home }),
  })
  return { upstream, parent }
}

const kill = async (parent: SupervisorProcess): Promise<void> => {
  parent.signal('SIGKILL')
  await parent.exited
}

const areGone = (parent: SupervisorProcess): Promise<unknown> =>
  eventually(
    () => parent.members(),
    (members) => members.length === 0,
    { what: 'the supervisor to drain and exit' },
  )

t.test('by default it drains and exits, with a Close frame to the upstream', async (t) => {
  const { upstream, parent } = await start(t, { port: await freePort() })
  await parent.waitUntilReady()
  await upstream.waitFor(({ open }) => open.length === 1)
  await kill(parent)
  await areGone(parent)
  t.same(
    upstream.upgraded.map(({ code }) => code),
    [1001],
  )
  t.same(parent.filesLeft(), [])
  await parent.waitForLine(/the parent process is gone/)
})

t.test('with onParentExit stay it goes on, though nobody reads its output any more', async (t) => {
  const port = await freePort()
  const { upstream, parent } = await start(t, { port, args: ['--on-parent-exit', 'stay'] })
  const { pid } = await parent.waitUntilReady()
  await kill(parent)
  parent.closeOutput()
  t.equal((await parent.cli('reload')).code, 0)
  t.equal((await parent.status()).pid, pid)
  t.equal((await parent.cli('stop')).code, 0)
  await areGone(parent)
  t.same(
    upstream.upgraded.map(({ code }) => code),
    [1001, 1001],
  )
})

t.test(
  'its successor waits for it, even before it has noticed; an orphaned successor ends too',
  async (t) => {
    const port = await freePort()
    const first = await start(t, { port })
    const { pid } = await first.parent.waitUntilReady()
    // It cannot hear of its parent's end.
    process.kill(pid, 'SIGSTOP')
    await kill(first.parent)
    const second = await start(t, { port, home: first.parent.home })
    const orphan = await start(t, { port, home: first.parent.home })
    await eventually(
      () => orphan.parent.members(),
      (members) => members.length === 2,
      { what: 'the third supervisor to be there' },
    )
    await second.parent.waitForLine(new RegExp(`waits for supervisor ${pid} to be gone`))
    await orphan.parent.waitForLine(/waits for supervisor/)
    await kill(orphan.parent)
    process.kill(pid, 'SIGCONT')
    const successor = await second.parent.waitUntilReady()
    t.not(successor.pid, pid)
    t.equal(await askPid(port).then((answer) => typeof answer), 'number')
    await areGone(first.parent)
    await areGone(orphan.parent)
    t.notMatch(second.parent.lines.join('\n'), /already running/)
  },
)
