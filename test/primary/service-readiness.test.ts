import t from 'tap'
import { serviceReadiness } from '../../src/primary/service-readiness.js'
import type { SupervisorState } from '../../src/shared/status.js'
import { CoreWorld, release } from './core-world.js'

const RUNNING = {
  state: 'running',
  isStarted: true,
  ready: 2,
  wanted: 2,
  relays: { ready: 0, wanted: 0 },
} as const

t.test('ready is what was complete once, has somebody who serves, and is not asked to stop', async (t) => {
  const cases: [changed: Partial<Parameters<typeof serviceReadiness>[0]>, ready: boolean, reason: string][] =
    [
      [{}, true, '2 of 2 workers ready'],
      [{ ready: 1 }, true, '1 of 2 workers ready'],
      [{ state: 'reloading' }, true, '2 of 2 workers ready'],
      [{ ready: 0 }, false, '0 of 2 workers ready'],
      [{ state: 'reloading', ready: 0 }, false, '0 of 2 workers ready'],
      [{ state: 'starting', isStarted: false, ready: 1 }, false, 'starting, 1 of 2 workers ready'],
      [{ relays: { ready: 1, wanted: 1 } }, true, '2 of 2 workers ready, 1 of 1 relay workers'],
      [{ ready: 0, relays: { ready: 1, wanted: 1 } }, false, '0 of 2 workers ready, 1 of 1 relay workers'],
      [{ state: 'stopping' }, false, 'stopping'],
      [{ state: 'stopped', ready: 0 }, false, 'stopping'],
    ]
  for (const [changed, isReady, reason] of cases)
    t.same(serviceReadiness({ ...RUNNING, ...changed }), { isReady, reason }, reason)
})

t.test('over a life: starting, running, reloading, stopping', async (t) => {
  const world = new CoreWorld(release(1, { shutdownDelay: 1_000 }))
  const seen: [SupervisorState, boolean][] = []
  const look = (): unknown => seen.push([world.core.state, world.core.readiness.isReady])
  look()
  world.command({ type: 'start' })
  world.pass(50)
  look()
  world.pass(1_950)
  look()
  world.change({ kind: 'reload' })
  world.pass(300)
  look()
  world.pass(20_000)
  world.command({ type: 'stop', reason: 'SIGTERM', urgent: false })
  look()
  world.pass(10_000)
  look()
  t.same(seen, [
    ['starting', false],
    ['starting', false],
    ['running', true],
    ['reloading', true],
    ['stopping', false],
    ['stopped', false],
  ])
})

t.test('a restart with a gap is not ready in its gap', async (t) => {
  const world = new CoreWorld(release(1))
  world.command({ type: 'start' })
  world.pass(2_000)
  world.change({ kind: 'restart' })
  world.pass(20)
  t.equal(world.core.readiness.isReady, false)
  world.pass(5_000)
  t.equal(world.core.readiness.isReady, true)
})
