// A bad release that cannot have, or keep, the one connection of an exclusive client costs the service a moment of it and
// nothing else: the old worker holds it again, `reload` exits 5 and says what the upstream answered, and no message that
// was confirmed is missing.

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { uninstrumentChildren } from '../support/clean-children.js'
import type { UpstreamEvent } from '../support/exclusive-log.js'
import { freePort } from '../support/free-port.js'
import { violationsOf } from '../support/judge-exclusive.js'
import { IDENTITY, SenderWorld } from '../support/sender-world.js'

uninstrumentChildren()

const SECRET = 'Sesame-4711-open'
/** How soon after the failure the old worker has it again (ms). */
const BACK_WITHIN = 2_000

interface BadRelease {
  name: string
  release: (urls: { right: string; closedPort: number }) => object
  /** What the upstream shall do, and after what. */
  refuse?: string
  isThrownOut?: boolean
  /** Of the message of `reload`. */
  says: RegExp
}

const bad: BadRelease[] = [
  {
    name: 'has a wrong path',
    release: ({ right }) => ({ url: right.replace(IDENTITY, 'wrong?') }),
    refuse: 'refuse 404 /wrong',
    says: /404/,
  },
  {
    name: 'has a port that refuses',
    release: ({ closedPort }) => ({ url: `ws://127.0.0.1:${closedPort}/${IDENTITY}?` }),
    says: /ECONNREFUSED/,
  },
  {
    name: 'has a token that is not accepted',
    release: ({ right }) => ({ url: `${right}?token=${SECRET}&` }),
    refuse: `refuse 401 ${SECRET}`,
    says: /401/,
  },
  { name: 'throws in afterConnect', release: () => ({ throws: 'no such channel' }), says: /no such channel/ },
  { name: 'exits a second after the opening', release: () => ({ exits: 1_000 }), says: /exited with code 3/ },
  { name: 'is thrown out just after the opening', release: () => ({}), isThrownOut: true, says: /1008/ },
]

t.test('each of many bad releases gives the connection back, under traffic', async (t) => {
  const world = await SenderWorld.open(t)
  const { upstream, folder } = world
  const file = join(folder, 'release.json')
  const deploy = (release: object): void => writeFileSync(file, JSON.stringify(release))
  deploy({})
  const supervisor = world.start(t, {
    app: 'test/process/fixtures/exclusive-release.js',
    args: ['--min-uptime', '300ms'],
    env: { RELEASE: file },
  })
  const { workers } = await supervisor.waitUntilReady()
  const pids = workers.map(({ pid }) => String(pid))
  const isOld = ({ who }: { who: string }): boolean => pids.includes(who)
  await world.proved(supervisor, 2)
  const closedPort = await freePort()

  for (const { name, release, refuse, isThrownOut = false, says } of bad) {
    await t.test(`a release that ${name}`, async (t) => {
      deploy(release({ right: upstream.url(IDENTITY), closedPort }))
      if (refuse !== undefined) await upstream.tell(refuse)
      const seen = upstream.events.length
      const reload = supervisor.cli('reload')
      if (isThrownOut) {
        const isNewOpen = (): boolean => upstream.open(IDENTITY).some((connection) => !isOld(connection))
        await upstream.until(isNewOpen, 'the new release to be open')
        await upstream.tell('close 1008')
      }
      const { code, stdout, stderr } = await reload
      if (refuse !== undefined) await upstream.tell('accept')
      t.equal(code, 5)
      t.match(stdout + stderr, says, 'the message says what the upstream answered')
      t.notMatch(stdout + stderr, SECRET)

      const isHeld = (): boolean => upstream.open(IDENTITY).some(isOld)
      await upstream.until(isHeld, 'an old worker to have the connection again')
      const [failure, back] = failureAndReturn(upstream.events.slice(seen), isOld)
      t.ok(back - failure < BACK_WITHIN, `an old worker had it again after ${(back - failure).toFixed(0)} ms`)
      t.same(
        (await supervisor.status()).workers.map(({ pid }) => String(pid)),
        pids,
        'the very same workers serve',
      )
    })
  }

  deploy({})
  const { code, stdout, stderr } = await supervisor.cli('reload')
  t.equal(code, 0, `a good release rolls through: ${stdout}${stderr}`)
  const now = (await supervisor.status()).workers.map(({ pid }) => String(pid))
  t.ok(
    upstream.open(IDENTITY).every(({ who }) => now.includes(who)),
    'it holds the connection',
  )
  await world.comeToRest(supervisor)
  await supervisor.end()
  // What a bad release itself sends is its own loss; but it must not take with it what others handed to it.
  const good = [...pids, ...now]
  const isOfGood = (name: string): boolean => good.some((pid) => name.includes(`.${pid} `))
  const { missing, rejected, unsettled, ...rest } = world.judgement()
  const judgement = {
    ...rest,
    missing: missing.filter(isOfGood),
    rejected: rejected.filter(isOfGood),
    unsettled: unsettled.filter(isOfGood),
  }
  t.same(violationsOf(judgement, { mayDouble: true, isAllOwed: true }), [])
  t.notMatch(supervisor.lines.join('\n'), SECRET)
})

/** When what is not old was refused, or had lost the connection; or else the old one had; and when that was back. */
const failureAndReturn = (
  events: readonly UpstreamEvent[],
  isOld: (connection: { who: string }) => boolean,
): [failure: number, back: number] => {
  let failure = Number.NaN
  let back = Number.NaN
  for (const event of events) {
    if (event.type === 'refused' || event.type === 'gone' || event.type === 'handshake') failure = event.at
    if (event.type === 'open' && isOld(event)) {
      back = event.at
      break
    }
  }
  return [failure, back]
}
