// Exclusive clients where there is no server: an app of nothing but clients is ready when it stands by, a script's way out
// keeps its lock until the connection is closed, and what cannot be had is refused in words that help.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import t from 'tap'
import { cleanEnv, uninstrumentChildren } from '../support/clean-children.js'
import { upstreamClock } from '../support/exclusive-log.js'
import { IDENTITY, SenderWorld } from '../support/sender-world.js'

uninstrumentChildren()

const CALM = { mayDouble: false, isAllOwed: true }
/** How long drains-slowly.js takes before its clients are closed (ms). */
const SLOW = 2_000

t.test('workers with clients alone are ready by what is open, or by standing by', async (t) => {
  const world = await SenderWorld.open(t)
  const supervisor = world.start(t, { workers: 3 })
  await supervisor.waitUntilReady()
  t.equal(supervisor.lines.filter((line) => / ready after .* by clients/.test(line)).length, 3)
  const roles = (await supervisor.status()).workers.map(({ clients }) => clients[0]?.role)
  t.same(roles.toSorted(), ['holder', 'standby', 'standby'])
  t.equal((await supervisor.cli('reload')).code, 0)
  await world.proved(supervisor, 3)

  const another = world.start(t, { workers: 2, name: 'another' })
  await another.waitUntilReady()
  const owners = (await another.status()).workers.map(({ clients }) => clients[0]?.owner)
  t.match(owners, [
    { supervisor: 'senders', isOurs: false },
    { supervisor: 'senders', isOurs: false },
  ])
  t.notMatch(another.lines.join('\n'), /FORKSAFE_WARN/, 'one upstream: no service in the way of another')
  await world.comeToRest(supervisor)
  await supervisor.end()
  await world.comeToRest(another)
  await another.end()
  t.same(world.violations(CALM), [])
})

t.test('who drains slowly keeps the lock until its connection is closed', async (t) => {
  const world = await SenderWorld.open(t)
  const slow = world.start(t, { program: ['test/process/fixtures/drains-slowly.js'] })
  await world.upstream.until(() => world.upstream.open(IDENTITY).length === 1, 'the first to be open')
  const waiting = world.start(t, { workers: null })
  const at = upstreamClock()
  slow.signal('SIGTERM')
  await slow.waitForLine(/^draining$/)
  await world.heldBy(waiting.pid)
  t.ok(slow.lines.includes('drained'), 'nobody else was open while it drained')
  const [connection] = world.upstream.open(IDENTITY)
  t.ok((connection?.openedAt ?? 0) - at >= SLOW)
  await slow.end()
  await world.comeToRest(waiting)
  await waiting.end()
  t.same(world.violations(CALM), [])
})

/** What a module prints to its end. */
const runModule = async (source: string): Promise<string> => {
  const child = spawn(process.execPath, ['--input-type=module', '-e', source], {
    env: cleanEnv(),
    stdio: ['ignore', 'pipe', 'inherit'],
    timeout: 20_000,
  })
  const [output] = await Promise.all([text(child.stdout), once(child, 'close')])
  return output
}

const tryToMake = (entry: string, options: string): string => `
  import { guardedClient } from '${entry}'
  try {
    guardedClient('feed', { url: 'ws://127.0.0.1:9', ${options} })
    console.log('made')
  } catch ({ code, message }) {
    console.log(code, message)
  }`

t.test('what cannot be had is refused, with what to do', async (t) => {
  t.match(
    await runModule(tryToMake('forksafe/client', 'exclusive: true')),
    /^FORKSAFE_ERR_CLIENT_NO_LEASE .*exclusive.*import \{ guardedClient \} from 'forksafe', not from 'forksafe\/client'/,
  )
  t.match(
    await runModule(tryToMake('forksafe', "exclusive: 'fleet'")),
    /^FORKSAFE_ERR_CLIENT_NO_LEASE .*'fleet' is not there yet; 'machine' holds on one machine/,
  )
  t.match(
    await runModule(tryToMake('forksafe', 'fanout: true')),
    /^FORKSAFE_ERR_CLIENT_OPTIONS .*fanout.*needs exclusive: true/,
  )
})
