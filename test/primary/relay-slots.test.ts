// Slots of a relay beside an app: they are the first ones, nobody scales them, and a reload does them last.

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { keepRelay } from '../../src/primary/prepare-relay.js'
import { workerEnvironment } from '../../src/primary/worker-environment.js'
import type { RelaySettings } from '../../src/shared/relay-settings.js'
import { resolveSettings } from '../../src/shared/resolve-settings.js'
import { shortFolder } from '../support/relay-parts.js'
import { CoreWorld, NEVER_READY, release } from './core-world.js'

const world = (): CoreWorld => {
  const started = new CoreWorld(release(1, { workers: 5, relays: 2 }))
  started.command({ type: 'start' })
  return started.pass(3_000)
}

t.test('the app is scaled, and counted, without them', async (t) => {
  const scaled = world()
  t.equal(scaled.core.readiness.reason, '3 of 3 workers ready, 2 of 2 relay workers')
  scaled.change({ kind: 'scale', to: 1 })
  scaled.pass(2_000)
  t.same(scaled.serving, ['0:1', '1:1', '2:1'])
  t.match(scaled.results.changes.at(-1), { ok: true, message: '1 worker runs (3 before)' })
  scaled.change({ kind: 'scale', by: -1 })
  scaled.pass(2_000)
  t.same(scaled.serving, ['0:1', '1:1', '2:1'], 'one of the app is the least')
  scaled.change({ kind: 'scale', by: 1 })
  scaled.pass(2_000)
  t.same(scaled.serving, ['0:1', '1:1', '2:1', '3:1'])
  t.match(scaled.results.changes.at(-1), { ok: true, message: '2 workers run (1 before)' })
  t.match(
    scaled.progress.findLast(({ event }) => event === 'scaled'),
    { from: 1, to: 2 },
  )
  scaled.change({ kind: 'reload' })
  scaled.pass(20_000)
  t.same(scaled.serving, ['0:2', '1:2', '2:2', '3:2'], 'a reload keeps what was scaled')
  t.match(scaled.results.changes.at(-1), { message: '2 workers and 2 relay workers run generation 2' })
})

t.test('a worker of the app that cannot come turns scaling back', async (t) => {
  const scaled = world()
  scaled.behaviour = (_, slot) =>
    slot === 5 ? NEVER_READY : { readyAfter: 10, diesAfter: null, drainsIn: 1 }
  scaled.change({ kind: 'scale', to: 4 })
  scaled.pass(30_000)
  t.same(scaled.serving, ['0:1', '1:1', '2:1', '3:1', '4:1'])
  t.match(scaled.results.changes.at(-1), { ok: false, message: /^not scaled to 4, 3 workers as before/ })
})

t.test('a reload begins with the app and ends with the relay', async (t) => {
  const rolled = world()
  rolled.change({ kind: 'reload' })
  rolled.pass(20_000)
  const order = rolled.progress.flatMap((entry) =>
    entry.event === 'workerReady' && entry.generation === 2 ? [entry.slot] : [],
  )
  t.same(order, [2, 3, 4, 0, 1])
  t.match(
    rolled.progress.find(({ event }) => event === 'reloading'),
    { slots: [2, 3, 4, 0, 1] },
  )
})

t.test('a bad release of the app is rolled back and has not touched the relay', async (t) => {
  const rolled = world()
  const before = rolled.core.pool.slots.slice(0, 2).map(({ serving }) => serving?.id)
  rolled.behaviour = (generation) =>
    generation === 1 ? { readyAfter: 10, diesAfter: null, drainsIn: 1 } : NEVER_READY
  rolled.change({ kind: 'reload' })
  rolled.pass(20_000)
  t.match(rolled.results.changes.at(-1), { ok: false, exitCode: 5 })
  t.same(
    rolled.core.pool.slots.slice(0, 2).map(({ serving }) => serving?.id),
    before,
  )
  t.same(rolled.serving, ['0:1', '1:1', '2:1', '3:1', '4:1'])
})

t.test('a restart with a gap brings both back', async (t) => {
  const restarted = world()
  restarted.change({ kind: 'restart' })
  restarted.pass(20_000)
  t.same(restarted.serving, ['0:2', '1:2', '2:2', '3:2', '4:2'])
  t.match(restarted.results.changes.at(-1), {
    message: /^3 workers and 2 relay workers restarted with generation 2/,
  })
})

t.test('nobody is ready where only the relay is', async (t) => {
  const half = new CoreWorld(release(1, { workers: 3, relays: 1 }))
  half.command({ type: 'start' })
  half.pass(3_000)
  half.behaviour = () => NEVER_READY
  for (const { slot, id } of [...half.processes.values()]) if (slot > 0) half.kill(id)
  t.same(half.core.readiness, { isReady: false, reason: '0 of 2 workers ready, 1 of 1 relay workers' })
})

const folderOfApp = (t: Test): string => {
  const folder = shortFolder(t)
  writeFileSync(join(folder, 'app.js'), '')
  return folder
}

const settingsIn = async (cwd: string) =>
  (
    await resolveSettings({
      options: {
        script: 'app.js',
        name: 'api',
        workers: 2,
        readiness: 'ready',
        relay: { to: { feed: 'ws://feed.example?key=abcdefgh' }, listen: 'unix:r.sock' },
      },
      env: {},
      cwd,
      searchConfig: false,
    })
  ).settings

t.test('a relay worker is told of its relay, and a worker of the app where it is', async (t) => {
  const cwd = folderOfApp(t)
  const settings = await settingsIn(cwd)
  const order = { id: 1, generation: 1, workers: 3, relays: 1, isHeld: false }
  const relay = workerEnvironment({ ...order, slot: 0 }, settings, {})
  t.match(JSON.parse(relay.SUPERVISOR_RELAY ?? ''), { name: 'api', to: [{ name: 'feed' }] })
  t.match(relay, { SUPERVISOR_SLOT: '0', FORKSAFE_RELAY: undefined })
  t.match(JSON.parse(relay.FORKSAFE_WORKER ?? ''), {
    readiness: 'ready',
    requestGuard: 'off',
    slotOfAll: 0,
  })

  const app = workerEnvironment({ ...order, slot: 2 }, settings, {})
  t.equal(app.SUPERVISOR_RELAY, undefined)
  t.match(app, { SUPERVISOR_SLOT: '1', SUPERVISOR_WORKERS: '2', NODE_APP_INSTANCE: '1' })
  t.equal(app.FORKSAFE_RELAY, join(cwd, 'r.sock'))
  t.match(JSON.parse(app.FORKSAFE_WORKER ?? ''), { slot: 1, slotOfAll: 2, readiness: 'ready' })
  const own = { ...settings, env: { FORKSAFE_RELAY: 'other' } }
  t.equal(workerEnvironment({ ...order, slot: 2 }, own, {}).FORKSAFE_RELAY, 'other')
})

t.test('what a start has decided stays, and whoever wants it otherwise is told', async (t) => {
  const { relay } = await settingsIn(folderOfApp(t))
  if (relay === undefined) throw new Error('no relay')
  const told: string[] = []
  const keep = (started: RelaySettings | undefined, next: RelaySettings | undefined) =>
    keepRelay(started, next, (text) => told.push(text))
  const next = { ...relay, workers: 4, spool: '/elsewhere', maxConnections: 7, to: [] }
  t.same(keep(relay, next), { ...relay, maxConnections: 7, to: [] })
  t.same(told.splice(0), [
    'relay.spool stays as it is: it is decided at the start; stop and start it',
    'relay.workers stays as it is: it is decided at the start; stop and start it',
  ])
  t.equal(keep(undefined, relay), undefined)
  t.match(told.splice(0), [/^relay stays out/])
  t.equal(keep(relay, undefined), relay)
  t.match(told.splice(0), [/^relay stays in/])
  t.same(keep(relay, relay), relay)
  t.equal(keep(undefined, undefined), undefined)
  t.same(told, [])
})
