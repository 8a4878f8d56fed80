// examples/deploy/feed.service as it stands, sandbox and all, under a live systemd (test/support/live-systemd.ts).
// What is different is told in `adapted`.

import { copyFileSync, mkdirSync, readFileSync, renameSync, symlinkSync, writeFileSync } from 'node:fs'
import { get } from 'node:http'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import t, { type Test } from 'tap'
import { uninstrumentChildren } from '../support/clean-children.js'
import { eventually } from '../support/deadline.js'
import { freePort } from '../support/free-port.js'
import { type LiveSystemd, liveSystemd, needsLiveSystemd } from '../support/live-systemd.js'
import { describeLoad, startLoad } from '../support/load.js'
import { type RecordingUpstream, recordingUpstream } from '../support/recording-upstream.js'

uninstrumentChildren()

const UNIT = readFileSync('examples/deploy/feed.service', 'utf8')
const RELEASES = ['first', 'second', 'broken'] as const
type Release = (typeof RELEASES)[number]

interface World {
  systemd: LiveSystemd
  upstream: RecordingUpstream
  port: number
  /** The link that the unit names leads there from now on. */
  release(name: Release): void
}

const world = async (
  t: Test,
  changes: Record<string, string> = {},
  app = 'examples/feed/app.js',
): Promise<World> => {
  const folder = t.testdir({})
  for (const name of RELEASES) {
    mkdirSync(join(folder, name, 'node_modules'), { recursive: true })
    symlinkSync('/srv/repo', join(folder, name, 'node_modules/forksafe'))
    copyFileSync(app, join(folder, name, 'app.js'))
    writeFileSync(join(folder, name, 'package.json'), '{ "type": "module" }')
  }
  writeFileSync(join(folder, 'broken/app.js'), 'throw new Error("broken")')
  const release = (name: Release): void => {
    symlinkSync(name, join(folder, 'next'))
    renameSync(join(folder, 'next'), join(folder, 'current'))
  }
  release('first')
  const [upstream, port] = [await recordingUpstream(t), await freePort()]
  const systemd = await liveSystemd(t, folder)
  const environment = `Environment=PORT=${port} UPSTREAM=${upstream.url} FORKSAFE_MIN_UPTIME=100ms\n[Install]`
  await systemd.install(adapted({ ...changes, '[Install]': environment }))
  return { systemd, upstream, port, release }
}

/**
 * The unit with another user, who is there, and where a user's manager puts what is in /run. No network.target: this
 * systemd has none.
 *
 * @param changes by the line that is replaced, which has to be there.
 */
const adapted = (changes: Record<string, string>): string =>
  Object.entries({
    'User=feed': 'User=daemon',
    'Environment=FORKSAFE_HOME=/run/feed': 'Environment=FORKSAFE_HOME=/run/live/feed',
    'Wants=network-online.target': '',
    'After=network-online.target': '',
    ...changes,
  }).reduce(
    (unit, [line, other]) => {
      const lines = unit.split('\n')
      if (!lines.includes(line)) throw new Error(`the unit has no line ${line}`)
      return lines.map((each) => (each === line ? other : each)).join('\n')
    },
    UNIT.replace('--workers max', '--workers 2').replaceAll('/usr/bin/node', process.execPath),
  )

const bothOpen = (upstream: RecordingUpstream) =>
  upstream.waitFor(({ open }) => open.length === 2, { what: 'two connections', timeout: 20_000 })

const codes = ({ upgraded }: RecordingUpstream) => upgraded.map(({ code }) => code)

const start = async (t: Test, { systemd }: World): Promise<void> => {
  const { code, output } = await systemd.systemctl('start', 'feed')
  t.equal(code, 0, output)
}

const restarted = ({ systemd }: World) =>
  systemd.waitForProperties({ NRestarts: /^1$/, ActiveState: /^active$/, StatusText: /^2 of 2 / }, 40_000)

t.test('under a live systemd', needsLiveSystemd(), async (t) => {
  t.test(
    'the unit starts, rolls to another release without loss, refuses a broken one and stops',
    async (t) => {
      const it = await world(t)
      const { systemd, upstream, port } = it
      await start(t, it)
      t.equal(await systemd.property('StatusText'), '2 of 2 workers ready, generation 1')
      await bothOpen(upstream)
      const clients = { keepalive: 5, close: 3, slow: 2, slowReused: 2 }
      const load = startLoad({ port, path: '/feed', slowPath: '/feed', clients })
      await load.finished(100)
      it.release('second')
      t.same(await systemd.systemctl('reload', 'feed'), { code: 0, output: '' })
      const result = await load.stop()
      t.equal(result.failed, 0, describeLoad(result))
      t.ok(result.requests > 100)
      t.equal(await systemd.property('StatusText'), '2 of 2 workers ready, generation 2')
      await bothOpen(upstream)
      it.release('broken')
      t.not((await systemd.systemctl('reload', 'feed')).code, 0)
      t.match(
        await systemd.property('StatusText'),
        /^2 of 2 .*; generation 3 was given up: worker 0 .*broken/,
      )
      t.equal(await systemd.property('ActiveState'), 'active')
      t.equal((await systemd.systemctl('stop', 'feed')).code, 0)
      t.match(await systemd.property('Result'), 'success')
      t.equal(await systemd.property('NRestarts'), '0')
      t.same(codes(upstream), [1001, 1001, 1001, 1001])
    },
  )

  t.test('a start and a stop that take longer than systemd waits are given the time', async (t) => {
    const changes = {
      'TimeoutStartSec=60s': 'TimeoutStartSec=2s',
      'TimeoutStopSec=35s': 'TimeoutStopSec=2s',
      'Environment=NODE_ENV=production': 'Environment=START_MS=5000',
    }
    const it = await world(t, changes, 'test/process/fixtures/slow-start-slow-answer.js')
    await start(t, it)
    const asked = get({ host: '127.0.0.1', port: it.port, path: '/?ms=5000' })
    const answered = new Promise<string>((resolve, reject) => {
      asked.on('response', (response) => text(response).then(resolve, reject)).on('error', reject)
    })
    const isHandedOver = () => asked.socket?.connecting === false && asked.writableFinished
    await eventually(isHandedOver, (is) => is === true, { what: 'the request to be on its way' })
    const begunAt = performance.now()
    t.equal((await it.systemd.systemctl('stop', 'feed')).code, 0)
    t.ok(performance.now() - begunAt > 3_000, 'the stop took longer than TimeoutStopSec')
    t.match(await answered, /^\d+$/)
    t.equal(await it.systemd.property('Result'), 'success')
  })

  t.test(
    'a primary that stands still is found by the watchdog and replaced, one that is well is left alone',
    async (t) => {
      const it = await world(t, {
        'WatchdogSec=30s': 'WatchdogSec=3s',
        'Environment=NODE_ENV=production':
          'Environment="NODE_OPTIONS=--import /srv/repo/test/process/fixtures/blocks-every-primary.js"',
      })
      await start(t, it)
      const since = performance.now()
      const isWell = async () => (await it.systemd.property('NRestarts')) === '0'
      await eventually(
        async () => ({ isWell: await isWell(), ms: performance.now() - since }),
        ({ isWell, ms }) => !isWell || ms > 7_000,
        { what: 'twice the time that systemd waits' },
      )
      t.ok(await isWell())
      await it.systemd.systemctl('kill', '--kill-whom=main', '--signal=SIGALRM', 'feed')
      await restarted(it)
      await bothOpen(it.upstream)
      t.equal((await it.systemd.systemctl('stop', 'feed')).code, 0)
      t.equal(it.upstream.connected.length, 0)
    },
  )

  t.test(
    'workers of a primary that was killed close their connections, and the next one starts',
    async (t) => {
      const it = await world(t)
      await start(t, it)
      await bothOpen(it.upstream)
      await it.systemd.systemctl('kill', '--kill-whom=main', '--signal=SIGKILL', 'feed')
      await restarted(it)
      t.same(codes(it.upstream).slice(0, 2), [1001, 1001])
      await bothOpen(it.upstream)
      t.equal((await it.systemd.systemctl('stop', 'feed')).code, 0)
      t.same(codes(it.upstream), [1001, 1001, 1001, 1001])
    },
  )

  t.test('without NotifyAccess=all a unit that is not root cannot be ready', async (t) => {
    const it = await world(t, {
      'NotifyAccess=all': 'NotifyAccess=main',
      'TimeoutStartSec=60s': 'TimeoutStartSec=5s',
      'Restart=on-failure': 'Restart=no',
    })
    t.not((await it.systemd.systemctl('start', 'feed')).code, 0)
    t.equal(await it.systemd.property('Result'), 'timeout')
  })
})
