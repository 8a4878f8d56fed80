// Callers in processes of their own, through the built package: a script that ends, other users, a supervised worker.

import { spawn } from 'node:child_process'
import { chmodSync } from 'node:fs'
import { get } from 'node:http'
import { dirname } from 'node:path'
import { text } from 'node:stream/consumers'
import t, { type Test } from 'tap'
import { openSocketTo } from '../../src/shared/relay-socket.js'
import { cleanEnv, uninstrumentChildren } from '../support/clean-children.js'
import { withDeadline } from '../support/deadline.js'
import { freePort } from '../support/free-port.js'
import { startSupervisor } from '../support/supervisor-process.js'
import { serveUnix } from './ingress/serving.js'

uninstrumentChildren()

const SCRIPT = 'test/relay/fixtures/publishes-and-ends.js'

const runScript = async (...args: string[]): Promise<{ said: string; ms: number }> => {
  const begun = performance.now()
  const child = spawn(process.execPath, [SCRIPT, ...args], {
    env: cleanEnv({}),
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const said = await withDeadline(text(child.stdout), { what: 'the script to end' }).finally(() =>
    child.kill('SIGKILL'),
  )
  return { said: said.trim(), ms: performance.now() - begun }
}

t.test('a script that has published ends at once, though its connection is kept', async (t) => {
  const { door, place } = await serveUnix(t)
  const { said, ms } = await runScript(place)
  t.equal(said, 'queued')
  t.ok(ms < 5_000, `it took ${ms} ms; connections are kept for 60 s`)
  t.equal(door.appended[0]?.body.toString(), 'from a script')
})

t.test(
  'another user is told that it may not, unless it is of the group',
  { skip: process.getuid?.() !== 0 && 'needs root' },
  async (t) => {
    const { door, place } = await serveUnix(t)
    await openSocketTo(place, { name: 'callers', gid: 12_345 })
    chmodSync(dirname(place), 0o755)
    t.equal((await runScript(place, '12346', '12346')).said, 'FORKSAFE_ERR_RELAY_DENIED')
    t.equal(door.appended.length, 0)
    t.equal((await runScript(place, '12346', '12345')).said, 'queued')
  },
)

const ask = (port: number): Promise<string> =>
  withDeadline(
    new Promise((resolve, reject) => {
      get({ port, host: '127.0.0.1', agent: false }, (response) => resolve(text(response))).on(
        'error',
        reject,
      )
    }),
    { what: 'an answer of the app' },
  )

t.test('a handler of a supervised worker publishes, and the request guard says nothing', async (t: Test) => {
  const { door, place } = await serveUnix(t)
  const port = await freePort()
  const supervisor = startSupervisor(t, {
    args: ['test/relay/fixtures/publishes-in-a-handler.js', '--request-guard', 'throw'],
    env: { PORT: String(port), RELAY_SOCKET: place },
  })
  await supervisor.waitForStatus(
    ({ workers }) => workers.every(({ state }) => state === 'ready'),
    'the worker to be ready',
  )
  for (let round = 0; round < 5; round++) t.equal(await ask(port), 'queued')
  t.equal(door.appended.length, 5)
  t.notMatch(supervisor.lines.join('\n'), /dialled/)
})
