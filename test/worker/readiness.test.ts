import t from 'tap'
import type { ClientReport, Resource } from '../../src/shared/resources.js'
import { registerResource, resourceChanged } from '../../src/shared/resources.js'
import { Readiness } from '../../src/worker/readiness.js'
import { Primary } from './support/primary.js'

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

const fakeResource = (name: string): Resource & { wanted: boolean; open: boolean } => ({
  name,
  wanted: false,
  open: false,
  isWanted() {
    return this.wanted
  },
  isOpen() {
    return this.open
  },
  report: (): ClientReport => ({
    name,
    identity: name,
    state: 'idle',
    role: 'own',
    epoch: 0,
    pending: 0,
    confirmed: 0,
    reconnects: 0,
  }),
  suspend: async () => {},
  resume: () => {},
  shutDown: async () => {},
  closeSync: () => {},
})

t.test('each mode accepts its own signs, the first one counts', async (t) => {
  for (const [mode, signs, expected] of [
    ['auto', ['listening', 'ready()'], ['listening']],
    ['auto', ['ready()', 'listening'], ['ready()']],
    ['auto', ['clients'], ['clients']],
    ['listening', ['ready()', 'clients', 'listening', 'listening'], ['listening']],
    ['ready', ['listening', 'clients', 'ready()', 'ready()'], ['ready()']],
  ] as const) {
    const seen: string[] = []
    const readiness = new Readiness(mode, (by) => seen.push(by))
    t.equal(readiness.waitingFor().length, 1)
    for (const sign of signs) readiness.sign(sign)
    t.same(seen, expected, `${mode}: ${signs.join(', ')}`)
    t.same(readiness.waitingFor(), [])
  }
})

t.test('clients make a worker ready when every one that is wanted is open', async (t) => {
  const seen: string[] = []
  new Readiness('auto', (by) => seen.push(by))
  const [first, second, third] = [fakeResource('first'), fakeResource('second'), fakeResource('third')]
  const undo = [first, second, third].map(registerResource)
  t.teardown(() => {
    for (const remove of undo) remove()
  })
  await turn()
  t.same(seen, [], 'clients that nobody wants prove nothing')
  first.wanted = second.wanted = true
  first.open = true
  resourceChanged(first)
  await turn()
  t.same(seen, [], 'one of two is not enough')
  second.open = true
  resourceChanged(second)
  await turn()
  t.same(seen, ['clients'])
})

t.test('open clients do not speak for a server that is about to listen', async (t) => {
  const seen: string[] = []
  const readiness = new Readiness('auto', (by) => seen.push(by))
  const client = fakeResource('client')
  client.wanted = client.open = true
  t.teardown(registerResource(client))
  readiness.listenCalled()
  await turn()
  t.same(seen, [])
  readiness.sign('listening')
  t.same(seen, ['listening'])
})

t.test('a worker tells where it listens and that it is ready, once', async (t) => {
  const primary = new Primary(t, 'http-app.js')
  const { id, port } = await primary.serve()
  t.same(await primary.frame(id, 'ready'), { type: 'ready', by: 'listening' })
  t.equal((await primary.frame(id, 'listening')).address, `127.0.0.1:${port}`)
})

t.test('under readiness "ready" only ready() counts, and only once', async (t) => {
  const primary = new Primary(t, 'ready-by-call.js', { readiness: 'ready' })
  const { id } = await primary.serve()
  await primary.frame(id, 'listening')
  t.same(primary.frames(id, 'ready'), [])
  primary.tellApp(id, 'be ready')
  t.equal((await primary.frame(id, 'ready')).by, 'ready()')
  const { message } = await primary.seen('identity', ({ event }) => event === 'appMessage')
  t.same(message, { slot: 0, generation: 3, isSupervised: true })
  primary.order(id, { type: 'askReport', id: 1 })
  await primary.frame(id, 'report')
  t.equal(primary.frames(id, 'ready').length, 1)
})
