// The primary holds no upstream connection while it forks: at start, at the replacement of a crashed worker and at a
// reload the upstream has seen its Close frame before the new worker exists; afterwards it is open again if it was.

import t, { type Test } from 'tap'
import { uninstrumentChildren } from '../support/clean-children.js'
import { eventually } from '../support/deadline.js'
import { freePort } from '../support/free-port.js'
import { type RecordingUpstream, recordingUpstream } from '../support/recording-upstream.js'
import { sharedSockets, socketsTo } from '../support/socket-table.js'
import { type SupervisorProcess, startSupervisor } from '../support/supervisor-process.js'

uninstrumentChildren()

interface Told {
  event: string
  at: number
  state?: string
  connected: number
  slots?: number[]
}

const start = async (t: Test, env: NodeJS.ProcessEnv = {}) => {
  const upstream = await recordingUpstream(t)
  const port = await freePort()
  const primary = startSupervisor(t, {
    program: ['test/process/fixtures/primary-with-client.js'],
    env: {
      UPSTREAM: upstream.url,
      PORT: String(port),
      SCRIPT: 'test/process/fixtures/http-and-feed.js',
      CLIENT: 'open',
      ...env,
    },
  })
  return { upstream, primary }
}

const told = (primary: SupervisorProcess): Told[] =>
  primary.lines.filter((line) => line.startsWith('{"event"')).map((line) => JSON.parse(line) as Told)

/** What holds for every fork window so far: the hook runs right before the fork, when clients are closed. */
const checkWindows = (t: Test, primary: SupervisorProcess, upstream: RecordingUpstream): void => {
  const windows = told(primary).filter(({ event }) => event === 'beforeFork')
  t.ok(windows.length > 0)
  const own = upstream.upgraded.filter(({ slot }) => slot === 'primary')
  for (const { at, connected } of windows) {
    t.equal(connected, 0, 'no connected socket to the upstream when a worker is forked')
    for (const { id, openedAt, closeFrameAt } of own) {
      const isBefore = closeFrameAt !== null && closeFrameAt <= at
      const isAfter = openedAt !== null && openedAt >= at
      t.ok(isBefore || isAfter, `connection ${id} was closed before the fork, or opened after it`)
    }
  }
  t.same(
    own.filter(({ goneAt, code }) => goneAt !== null && code !== 1001),
    [],
    'each ended with a Close frame',
  )
}

t.test('a client that is open: closed before each fork, open afterwards', async (t) => {
  const { upstream, primary } = await start(t)
  await primary.waitForLine(/"event":"supervised"/)
  const ownOpen = ({ open }: RecordingUpstream): boolean => open.some(({ slot }) => slot === 'primary')
  await upstream.waitFor(ownOpen, { what: 'the primary to be open again after the start' })
  checkWindows(t, primary, upstream)

  const { workers } = await primary.waitUntilReady()
  const [victim] = workers
  const windows = told(primary).length
  process.kill(victim?.pid ?? 0, 'SIGKILL')
  await eventually(
    () =>
      told(primary)
        .slice(windows)
        .filter(({ event }) => event === 'afterFork').length,
    (n) => n > 0,
    {
      what: 'the fork of a replacement',
    },
  )
  await upstream.waitFor(ownOpen, { what: 'the primary to be open again after a crash replacement' })
  checkWindows(t, primary, upstream)

  await primary.waitUntilReady()
  t.equal((await primary.cli('reload')).code, 0)
  await upstream.waitFor(ownOpen, { what: 'the primary to be open again after a reload' })
  checkWindows(t, primary, upstream)
  t.ok(
    told(primary).filter(({ event }) => event === 'beforeFork').length >= 4,
    'start, replacement and two at the reload',
  )

  t.equal(socketsTo(primary.pid, upstream.port).length, 1, 'one connection of the primary')
  for (const { pid } of (await primary.status()).workers) {
    t.same(sharedSockets(primary.pid, pid ?? 0), [], `no connected socket is shared with worker ${pid}`)
    t.equal(socketsTo(pid ?? 0, upstream.port).length, 1)
  }
})

for (const [client, before] of [
  ['idle', 'idle'],
  ['closed', 'closed'],
] as const) {
  t.test(`a client that is ${client} stays so`, async (t) => {
    const { upstream, primary } = await start(t, { CLIENT: client })
    await primary.waitForLine(/"event":"supervised"/)
    t.equal((await primary.cli('reload')).code, 0)
    t.same(
      upstream.connections.filter(({ slot }) => slot === 'primary'),
      [],
    )
    t.equal(told(primary).find(({ event }) => event === 'supervised')?.state, before)
  })
}

t.test('what is sent while a window is open arrives after it', async (t) => {
  const { upstream, primary } = await start(t)
  await primary.waitForLine(/"event":"supervised"/)
  const reload = primary.cli('reload')
  await primary.waitForLine(/rolling restart of/)
  for (let i = 0; i < 20; i++) primary.signal('SIGALRM')
  t.equal((await reload).code, 0)
  primary.signal('SIGALRM')
  const isSettled = (): boolean =>
    told(primary).some(({ event }) => event === 'sent') &&
    !told(primary).some(({ event }) => event.startsWith('FORKSAFE_ERR'))
  await eventually(isSettled, Boolean, { what: 'the messages to be sent, none of them lost' })
  await upstream.waitFor(({ messages }) => messages.includes('from the primary'))
})

t.test(
  'a client whose upstream never answers a Close delays the fork by forkWindowTimeout, not by its closeTimeout',
  async (t) => {
    const { upstream, primary } = await start(t, { FORK_WINDOW_TIMEOUT: '300ms' })
    upstream.behaviour.answersClose = false
    // The client's closeTimeout is 60 s, the test's deadline far below it.
    await primary.waitForLine(/"event":"supervised"/, { timeout: 20_000 })
    const { connected } = told(primary).find(({ event }) => event === 'beforeFork') ?? { connected: -1 }
    t.equal(connected, 0, 'terminated, so not connected when the worker is forked')
    upstream.behaviour.answersClose = true
  },
)

t.test('a start that cannot succeed leaves nothing and says why', async (t) => {
  const { primary } = await start(t, { SCRIPT: 'test/process/fixtures/does-not-exist.js' })
  await primary.waitForLine(/FORKSAFE_ERR_SCRIPT_UNREADABLE/)
  t.equal((await primary.leavesNothing()).code, 1)
})
