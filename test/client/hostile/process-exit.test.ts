// A plain script whose upstream is hostile ends by itself after close() or terminate(): no timer and no socket of the
// client holds it.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import t, { type Test } from 'tap'
import { cleanEnv, uninstrumentChildren } from '../../support/clean-children.js'
import { eventually, withDeadline } from '../../support/deadline.js'
import { answers, answersPings, keepsTcpOpen, repeats, stopsReading, upgrades } from './acts.js'
import { text } from './frames.js'
import { type Act, hostileServer } from './hostile-server.js'

uninstrumentChildren()

const SCRIPT = 'test/client/hostile/fixtures/ends-by-itself.js'

/** What the script waits for before it ends its client; `connecting` is told it when the server has accepted. */
const peers: [peer: string, acts: Act[], state: 'connecting' | 'open' | 'waiting', messages: number][] = [
  ['never answers the upgrade', [keepsTcpOpen], 'connecting', 1],
  ['says nothing after 101', [keepsTcpOpen, upgrades()], 'open', 1],
  ['never answers Close', [keepsTcpOpen, answersPings(), upgrades(), repeats(text('news'), 1)], 'open', 1],
  ['never reads', [keepsTcpOpen, upgrades(), stopsReading], 'open', 14],
  ['is away', [answers('503 No')], 'waiting', 1],
]

for (const [peer, acts, state, messages] of peers)
  for (const method of ['close', 'terminate'] as const)
    t.test(`after ${method}() a script ends by itself, though its upstream ${peer}`, async (t) => {
      const server = await hostileServer(acts)
      t.teardown(() => server.stop())
      const script = start(t, [server.url, state, String(messages), method])
      if (state === 'connecting') {
        await eventually(
          () => server.accepts.length,
          (count) => count === 1,
          { what: 'the attempt to be accepted' },
        )
        script.process.send('end')
      }
      t.same(await script.ended, [0, null])
      t.equal(script.output(), 'settled closed\n')
    })

const start = (t: Test, args: readonly string[]) => {
  const process = spawn(globalThis.process.execPath, [SCRIPT, ...args], {
    env: cleanEnv(),
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  })
  t.teardown(() => process.kill('SIGKILL'))
  let output = ''
  for (const stream of [process.stdout, process.stderr])
    stream?.on('data', (chunk: Buffer) => {
      output += chunk.toString()
    })
  const exited = Promise.all([once(process, 'exit'), ...[process.stdout, process.stderr].map(closed)])
  return {
    process,
    output: () => output,
    ended: withDeadline(
      exited.then(([exit]) => exit),
      { what: 'the script to end by itself', timeout: 5_000, last: () => output },
    ),
  }
}

const closed = async (stream: NodeJS.ReadableStream | null): Promise<void> => {
  if (stream !== null) await once(stream, 'close')
}
