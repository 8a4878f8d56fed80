// In every process the last one opened is closed first, and one that others may use only when those are closed: in a
// worker's drain, in a plain script at SIGTERM, around a fork of a primary, and at its end.

import t, { type Test } from 'tap'
import { uninstrumentChildren } from '../support/clean-children.js'
import { eventually } from '../support/deadline.js'
import { recordingUpstream } from '../support/recording-upstream.js'
import { type SupervisorProcess, startSupervisor } from '../support/supervisor-process.js'

uninstrumentChildren()

const FIXTURE = 'test/process/fixtures/opens-one-after-another.js'

/** What the program said of its resources, without what stands before it. */
const told = (process: SupervisorProcess, after = 0): string[] =>
  process.lines
    .slice(after)
    .flatMap((line) => /(?:(?:open|closing|closed) (?:db|cache)|feed \w+)$/.exec(line)?.[0] ?? [])

const END = ['closing cache', 'closed cache', 'feed closing', 'feed closed', 'closing db', 'closed db']

const start = async (t: Test, options: Parameters<typeof startSupervisor>[1]) => {
  const upstream = await recordingUpstream(t)
  const started = startSupervisor(t, { ...options, env: { UPSTREAM: upstream.url, ...options?.env } })
  await started.waitForLine(/all open/)
  return { upstream, started, seen: started.lines.length }
}

t.test('a worker that drains', async (t) => {
  const { upstream, started, seen } = await start(t, { args: [FIXTURE, '--name', 'closing-order'] })
  await started.waitUntilReady()
  t.equal((await started.cli('stop')).code, 0)
  t.same(told(started, seen), END)
  t.equal(upstream.connections[0]?.code, 1001)
})

t.test('a plain script at SIGTERM', async (t) => {
  const { upstream, started, seen } = await start(t, { program: [FIXTURE] })
  started.signal('SIGTERM')
  await started.exited
  await started.leavesNothing()
  t.same(told(started, seen), END)
  t.equal(upstream.connections[0]?.code, 1001)
})

t.test('a primary, around each fork and at its end', async (t) => {
  const { started } = await start(t, {
    program: [FIXTURE],
    env: { PRIMARY: 'test/process/fixtures/plain-http.js', PORT: '0' },
  })
  const around = await eventually(
    () => told(started),
    (lines) =>
      ['feed open', 'open db', 'open cache'].every((line) => lines.lastIndexOf(line) > lines.indexOf(line)),
    { what: 'all to be open again' },
  )
  const seen = started.lines.length
  const window = around.slice(around.indexOf('closing cache'))
  // The feed is `suspended` from the moment it is told to close.
  t.same(window.slice(0, 5), ['closing cache', 'closed cache', 'feed suspended', 'closing db', 'closed db'])
  t.same(window.slice(5).sort(), ['feed connecting', 'feed open', 'open cache', 'open db'].sort())
  started.signal('SIGTERM')
  await started.exited
  t.same(told(started, seen), END)
})
