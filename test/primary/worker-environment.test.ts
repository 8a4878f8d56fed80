// What a worker sees of the environment of its primary. Compared with a real pm2 in test/process/under-pm2.test.ts.

import t from 'tap'
import { workerEnvironment } from '../../src/primary/worker-environment.js'
import { resolveSettings } from '../../src/shared/resolve-settings.js'

const ORDER = { id: 1, slot: 2, generation: 3, workers: 4, relays: 0, isHeld: false }

t.test('what belongs to pm2 and systemd is taken out, what belongs to the application stays', async (t) => {
  const { settings } = await resolveSettings({
    options: {
      script: 'examples/feed/app.js',
      name: 'api',
      workers: 4,
      env: { OWN: '1', status: 'of the app' },
    },
    env: {},
    cwd: process.cwd(),
    searchConfig: false,
  })
  const outside = {
    NOTIFY_SOCKET: '/run/x',
    name: 'feed',
    feed: '{}',
    cwd: '/',
    kill_timeout: '1600',
    PORT: '80',
  }
  const underPm2 = workerEnvironment(ORDER, settings, { ...outside, pm_id: '0' })
  for (const name of ['pm_id', 'name', 'feed', 'cwd', 'kill_timeout', 'NOTIFY_SOCKET']) {
    t.ok(Object.hasOwn(underPm2, name), name)
    t.equal(underPm2[name], undefined, name)
  }
  t.notOk(Object.hasOwn(underPm2, 'PORT'))
  t.match(underPm2, { OWN: '1', status: 'of the app', NODE_APP_INSTANCE: '2', SUPERVISOR_SLOT: '2' })
  t.match(underPm2, { SUPERVISOR_NAME: 'api', SUPERVISOR_WORKERS: '4', SUPERVISOR_GENERATION: '3' })

  const alone = workerEnvironment(ORDER, settings, outside)
  for (const name of ['name', 'feed', 'cwd', 'kill_timeout']) t.notOk(Object.hasOwn(alone, name), name)
  t.ok(Object.hasOwn(alone, 'NOTIFY_SOCKET'))

  const text = workerEnvironment(ORDER, settings, { pm_id: '0', name: 'feed', feed: 'of the app' })
  t.notOk(Object.hasOwn(text, 'feed'))
})
