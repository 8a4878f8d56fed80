// `supervisor handoff` gives the one connection of an exclusive client to another worker while all of them send: no
// message is lost, doubled or out of order, and there is never a second connection. Who cannot open it gives it back.

import t from 'tap'
import { uninstrumentChildren } from '../support/clean-children.js'
import { IDENTITY, SenderWorld } from '../support/sender-world.js'
import type { SupervisorProcess } from '../support/supervisor-process.js'

uninstrumentChildren()

const CALM = { mayDouble: false, isAllOwed: true }

interface Place {
  slot: number
  pid: number
}

/** By what the supervisor says, which is what the upstream says as well. */
const holderOf = async (world: SenderWorld, supervisor: SupervisorProcess): Promise<Place> => {
  const { workers } = await supervisor.waitForStatus(
    (status) => status.workers.some(({ clients }) => clients[0]?.role === 'holder'),
    'a holder',
  )
  const found = workers.find(({ clients }) => clients[0]?.role === 'holder')
  await world.heldBy(found?.pid)
  return { slot: found?.slot ?? -1, pid: found?.pid ?? 0 }
}

t.test('a connection is handed over by hand, under traffic', async (t) => {
  const world = await SenderWorld.open(t)
  const { upstream } = world
  const supervisor = world.start(t, { workers: 3, env: { SERVES: '1' } })
  const { workers } = await supervisor.waitUntilReady()
  const pidOf = (slot: number): number => workers[slot]?.pid ?? 0
  await world.proved(supervisor, 3)
  // Whoever does not wait until the old connection is gone is seen.
  await upstream.tell('close-delay 50')
  const openings = (): number => upstream.events.filter(({ type }) => type === 'open').length
  const handOff = async (...args: string[]) => {
    const { code, stdout, stderr } = await supervisor.cli('handoff', ...args)
    return { code, said: stdout + stderr }
  }

  await t.test('to the one that is next', async (t) => {
    const before = await holderOf(world, supervisor)
    const { code, said } = await handOff(IDENTITY)
    const after = await holderOf(world, supervisor)
    t.equal(code, 0, said)
    t.not(after.slot, before.slot)
    t.match(
      said,
      new RegExp(`client feed is with worker ${after.slot} \\(pid ${after.pid}\\), after \\d+ ms`),
    )
  })

  await t.test('to the one that was named, and again', async (t) => {
    const before = await holderOf(world, supervisor)
    const slot = (before.slot + 2) % 3
    const { code, said } = await handOff(IDENTITY, '--to', String(slot))
    t.equal(code, 0, said)
    t.same(await holderOf(world, supervisor), { slot, pid: pidOf(slot) })
    const opened = openings()
    const again = await handOff(IDENTITY, '--to', String(slot))
    t.equal(again.code, 0, again.said)
    t.match(again.said, `client feed is with worker ${slot} (pid ${pidOf(slot)})`)
    t.equal(openings(), opened, 'who has it already does not close it')
  })

  await t.test('what is not there is told with what there is', async (t) => {
    const opened = openings()
    const client = await handOff('nobody')
    t.match(client, { code: 5, said: /no exclusive client named nobody; there is feed/ })
    const slot = await handOff(IDENTITY, '--to', '9')
    t.match(slot, { code: 5, said: /no worker of slot 9 stands by for client feed/ })
    t.match(await handOff(IDENTITY, '--to', 'x'), { code: 2, said: /--to/ })
    t.equal(openings(), opened)
  })

  await t.test('who cannot open it gives it back', async (t) => {
    const before = await holderOf(world, supervisor)
    const slot = (before.slot + 1) % 3
    await upstream.tell(`refuse 503 who=${pidOf(slot)}`)
    const { code, said } = await handOff(IDENTITY, '--to', String(slot))
    t.equal(code, 5)
    t.match(said, /client feed was not handed over: .*503/)
    t.same(await holderOf(world, supervisor), before)
    await upstream.tell('accept')
    t.equal((await handOff(IDENTITY, '--to', String(slot))).code, 0, 'it may try again')
  })

  await t.test('when the worker that has it goes, another one has it', async (t) => {
    t.equal((await handOff(IDENTITY, '--to', '2')).code, 0)
    t.equal((await supervisor.cli('scale', '2')).code, 0)
    const { slot } = await holderOf(world, supervisor)
    t.not(slot, 2)
  })

  await world.comeToRest(supervisor)
  await supervisor.end()
  t.same(world.violations(CALM), [])
})

t.test('a program that is the primary hands it over by a call', async (t) => {
  const world = await SenderWorld.open(t)
  const handOffs = [[IDENTITY], [IDENTITY, 0], [IDENTITY, 1], ['nobody'], [IDENTITY, 7]]
  const supervisor = world.start(t, {
    name: 'by-call',
    program: ['test/process/fixtures/hands-off-by-call.js'],
    env: { HAND_OFFS: JSON.stringify(handOffs) },
  })
  await supervisor.waitForLine(/^done$/)
  const results = supervisor.lines.flatMap((line) => {
    const [, json] = /^result (.*)$/.exec(line) ?? []
    return json === undefined ? [] : [JSON.parse(json)]
  })
  t.match(results, [
    { ok: true, exitCode: 0, message: /client feed is with worker \d/ },
    { ok: true, exitCode: 0, holder: 0 },
    { ok: true, exitCode: 0, holder: 1 },
    { ok: false, exitCode: 5, message: /there is feed/, holder: 1 },
    { ok: false, exitCode: 5, message: /slot 7/, holder: 1 },
  ])
  await world.comeToRest(supervisor)
  await supervisor.end()
  t.same(world.violations(CALM), [])
})
