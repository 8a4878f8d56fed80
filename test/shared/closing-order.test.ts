// Who is closed when, with stand-ins for resources.

import t, { type Test } from 'tap'
import { closeInOrder } from '../../src/shared/closing-order.js'
import {
  type Resource,
  registerResource,
  resourceChanged,
  resourcesNewestFirst,
} from '../../src/shared/resources.js'
import { withDeadline } from '../support/deadline.js'

/** Registered and not open. */
const standIn = (t: Test, name: string, { isUsedByOthers = false } = {}) => {
  let isUp = false
  const resource: Resource = {
    name,
    isUsedByOthers,
    isWanted: () => isUp,
    isOpen: () => isUp,
    report: () => {
      throw new Error('nobody asks')
    },
    suspend: async () => {},
    resume: () => {},
    shutDown: async () => {},
    closeSync: () => {},
  }
  t.teardown(registerResource(resource))
  return (isOpen: boolean): void => {
    isUp = isOpen
    resourceChanged(resource)
  }
}

const order = (): string[] => resourcesNewestFirst().map(({ name }) => name)

t.test(
  'the last one opened is the first; what was never open stands before; coming back changes nothing',
  async (t) => {
    const a = standIn(t, 'a')
    const b = standIn(t, 'b')
    standIn(t, 'c')
    t.same(order(), ['c', 'b', 'a'])
    b(true)
    t.same(order(), ['c', 'a', 'b'])
    a(true)
    t.same(order(), ['c', 'a', 'b'])
    b(false)
    b(true)
    t.same(order(), ['c', 'a', 'b'], 'it was open before a was, which may use it')
  },
)

t.test('one that others may use waits for those opened after it; clients are closed together', async (t) => {
  for (const [name, isUsedByOthers] of [
    ['tunnel', true],
    ['db', true],
    ['feed', false],
    ['prices', false],
    ['cache', true],
    ['news', false],
  ] as const)
    standIn(t, name, { isUsedByOthers })(true)
  const log: string[] = []
  const close = async ({ name }: Resource): Promise<void> => {
    log.push(`${name} closing`)
    await new Promise((resolve) => setImmediate(resolve))
    log.push(`${name} closed`)
  }
  await closeInOrder(resourcesNewestFirst(), 10_000, close)
  t.same(log, [
    'news closing',
    'news closed',
    'cache closing',
    'cache closed',
    'prices closing',
    'feed closing',
    'prices closed',
    'feed closed',
    'db closing',
    'db closed',
    'tunnel closing',
    'tunnel closed',
  ])
})

t.test('one that hangs, or fails, delays the others by its share and no more', async (t) => {
  for (const name of ['first', 'second', 'third']) standIn(t, name, { isUsedByOthers: true })(true)
  const given: [string, number][] = []
  const close = ({ name }: Resource, timeout: number): Promise<void> => {
    given.push([name, timeout])
    if (name === 'second') return Promise.reject(new Error('broken'))
    return new Promise((resolve) => setTimeout(resolve, timeout))
  }
  const begun = performance.now()
  await withDeadline(closeInOrder(resourcesNewestFirst(), 90, close), { what: 'all to be closed' })
  t.ok(performance.now() - begun >= 88, 'each has all the time that is left')
  t.same(
    given.map(([name]) => name),
    ['third', 'second', 'first'],
  )
  const [third, second, first] = given.map(([, timeout]) => timeout)
  t.equal(third, 90)
  t.ok((second ?? 0) <= 61 && (first ?? 0) <= (second ?? 0), 'and no more than is left')
})

t.test('there may be nothing to close', async (t) => {
  await closeInOrder([], 10, () => Promise.reject(new Error('nothing is there')))
  t.pass('it settles')
})
