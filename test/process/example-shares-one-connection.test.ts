// examples/exclusive: whichever of four workers is asked, what it is given goes out over the one connection, which stays
// one, and is closed properly, through a handover and a rolling restart.

import t from 'tap'
import { uninstrumentChildren } from '../support/clean-children.js'
import { eventually } from '../support/deadline.js'
import { freePort } from '../support/free-port.js'
import { startSupervisor } from '../support/supervisor-process.js'

uninstrumentChildren()

const count = (text: string, pattern: RegExp): number => text.match(pattern)?.length ?? 0

/** One has the connection, one the clock, and the others stand by for both. */
const isSettled = (status: string): boolean =>
  count(status, /bot open, holder \d+/g) === 1 &&
  count(status, /bot standby for slot \d \(pid \d+\)/g) === 3 &&
  count(status, /example clock \(work\) running/g) === 1 &&
  count(status, /example clock \(work\) standby for slot \d \(pid \d+\)/g) === 3

t.test('the four workers of the example share one connection through handover and reload', async (t) => {
  const upstream = startSupervisor(t, { program: ['examples/exclusive/upstream.js'], env: { PORT: '0' } })
  const [, url = ''] = await upstream.waitForLine(/^upstream (ws:.*)$/)
  const port = await freePort()
  const supervisor = startSupervisor(t, {
    args: ['examples/exclusive/app.js', '-i', '4'],
    env: { UPSTREAM: url, PORT: String(port) },
  })
  await supervisor.waitUntilReady()

  /** Over a connection of its own, so that another worker answers the next time. */
  const say = async (): Promise<string> => {
    const answer = await fetch(`http://127.0.0.1:${port}/say`, {
      method: 'POST',
      body: 'hello',
      headers: { connection: 'close' },
    })
    const said = await answer.text()
    t.match(said, /"receipt":\{"level":"received"/)
    return /"worker":\d/.exec(said)?.[0] ?? ''
  }
  const asked = new Set<string>()
  await eventually(
    async () => asked.add(await say()).size,
    (size) => size === 4,
    { what: 'an answer of each worker' },
  )

  const handedOff = await supervisor.cli('handoff', 'bot')
  t.match(handedOff, { code: 0, stdout: /^client bot is with worker \d \(pid \d+\), after \d+ ms$/m })
  const rolled = await supervisor.cli('reload')
  t.equal(rolled.code, 0, rolled.stderr)
  await eventually(async () => (await supervisor.cli('status')).stdout, isSettled, {
    what: 'a status with one holder of each and three who stand by',
  })
  await say()

  const after = upstream.lines.length
  await supervisor.end()
  await upstream.waitForLine(/^close .*\(now 0\)$/, { after })
  const [, ...connections] = upstream.lines
  t.ok(connections.length >= 6, 'at first, at the handover, at the rolling restart')
  for (const [index, line] of connections.entries())
    t.match(line, index % 2 === 0 ? /^open .*\(now 1\)$/ : /^close .* code 1001 {2}\(now 0\)$/)
})
