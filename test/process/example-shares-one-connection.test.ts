// examples/exclusive: whichever of four workers is asked, what it is given goes out over the one connection, which stays
// one, and is closed properly, through a handover and a rolling restart.

import t from 'tap'
import { uninstrumentChildren } from '../support/clean-children.js'
import { eventually } from '../support/deadline.js'
import { freePort } from '../support/free-port.js'
import { startSupervisor } from '../support/supervisor-process.js'

uninstrumentChildren()

t.test(
  'the example of an exclusive client keeps one connection and answers through every worker',
  async (t) => {
    const upstream = startSupervisor(t, { program: ['examples/exclusive/upstream.js'], env: { PORT: '0' } })
    const [, url = ''] = await upstream.waitForLine(/^upstream (ws:.*)$/)
    const port = await freePort()
    const supervisor = startSupervisor(t, {
      args: ['examples/exclusive/app.js', '-i', '4'],
      env: { UPSTREAM: url, PORT: String(port) },
    })
    await supervisor.waitUntilReady()

    const say = async (): Promise<number> => {
      const answer = await fetch(`http://127.0.0.1:${port}/say`, {
        method: 'POST',
        body: 'hello',
        headers: { connection: 'close' },
      })
      const { worker, receipt } = await answer.json()
      t.equal(receipt?.level, 'received', `worker ${worker} has a receipt`)
      return worker
    }
    const asked = new Set<number>()
    await eventually(
      async () => asked.add(await say()).size,
      (size) => size === 4,
      { what: 'an answer of each worker' },
    )

    const handedOff = await supervisor.cli('handoff', 'bot')
    t.match(handedOff, { code: 0, stdout: /^client bot is with worker \d \(pid \d+\), after \d+ ms$/m })
    const rolled = await supervisor.cli('reload')
    t.equal(rolled.code, 0, rolled.stderr)
    await eventually(
      async () => (await supervisor.cli('status')).stdout,
      (text) =>
        count(text, /bot open, holder \d+/g) === 1 &&
        count(text, /bot standby for slot \d \(pid \d+\)/g) === 3 &&
        count(text, /example clock \(work\) running/g) === 1 &&
        count(text, /example clock \(work\) standby for slot \d \(pid \d+\)/g) === 3,
      { what: 'a status with one holder of each and three who stand by' },
    )
    await say()

    await supervisor.end()
    await upstream.waitForLine(/^close .*\(now 0\)$/, { after: upstream.lines.length - 1 })
    const [, ...connections] = upstream.lines
    t.ok(connections.length >= 6, 'at first, at the handover, at the rolling restart')
    for (const [index, line] of connections.entries())
      t.match(line, index % 2 === 0 ? /^open .*\(now 1\)$/ : /^close .* code 1001 {2}\(now 0\)$/)
  },
)
