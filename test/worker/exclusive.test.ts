// exclusive() as its caller sees it, in a process without a supervisor. Several processes: test/process/exclusive-work.test.ts.

import { join } from 'node:path'
import t from 'tap'
import type { ForksafeError } from '../../src/shared/errors.js'
import { setLeaseProvider } from '../../src/shared/lease-provider.js'
import { resourcesNewestFirst } from '../../src/shared/resources.js'
import { type ExclusiveOptions, type ExclusiveRun, exclusive } from '../../src/worker/exclusive.js'
import { ownLeases } from '../../src/worker/own-leases.js'

process.env.FORKSAFE_HOME = join(t.testdir({}), 'run')
t.teardown(setLeaseProvider(ownLeases))

/** A run that ends when it is told to. */
const untilAborted = ({ signal }: ExclusiveRun): Promise<string> =>
  new Promise((resolve) => signal.addEventListener('abort', () => resolve(`told: ${signal.reason?.message}`)))

t.test('what the function returns or throws is the answer, and each run has a larger epoch', async (t) => {
  const first = await exclusive('work', ({ epoch }) => epoch)
  const second = await exclusive('work', async ({ epoch }) => epoch)
  t.ok(first > 0 && second > first)
  const wrong = new Error('boom')
  const thrown = await exclusive('work', () => {
    throw wrong
  }).catch((error: unknown) => error)
  t.equal(thrown, wrong)
  t.equal(await exclusive('work', () => 'again'), 'again', 'its lease was given back')
  t.same(resourcesNewestFirst(), [])
})

t.test('it stands in line, or runs, once in a process', async (t) => {
  const stop = new AbortController()
  const run = exclusive('work', untilAborted, { signal: stop.signal })
  t.throws(() => exclusive('work', () => {}), { code: 'FORKSAFE_ERR_LEASE_OPTIONS', message: /already/ })
  t.equal(await exclusive('other work', () => 1), 1, 'names are apart')
  stop.abort(new Error('enough'))
  await run.catch(() => {})
})

t.test('the caller’s signal takes it out of the line, or tells the function', async (t) => {
  const reason = new Error('enough')
  const before = await exclusive('work', untilAborted, { signal: AbortSignal.abort(reason) }).catch(
    (error: ForksafeError) => error,
  )
  t.match(before, { code: 'FORKSAFE_ERR_LEASE_ABORTED', retryable: true, cause: reason })
  const stop = new AbortController()
  let tellBegun = (): void => {}
  const begun = new Promise<void>((resolve) => {
    tellBegun = resolve
  })
  const run = exclusive(
    'work',
    (run) => {
      tellBegun()
      return untilAborted(run)
    },
    { signal: stop.signal },
  )
  await begun
  t.match(resourcesNewestFirst()[0]?.report(), {
    kind: 'task',
    state: 'running',
    role: 'holder',
    owner: null,
  })
  stop.abort(reason)
  t.equal(await run, 'told: enough')
})

t.test('when the process leaves it is told, and what has not begun is not begun', async (t) => {
  const run = exclusive('work', untilAborted)
  const [resource] = resourcesNewestFirst()
  const over = run.catch((error: ForksafeError) => error)
  await resource?.shutDown({ timeout: 5_000 })
  t.match(await over, { code: 'FORKSAFE_ERR_LEASE_CLOSED' })
  t.same(resourcesNewestFirst(), [])
})

t.test('what is not allowed is refused at the door', async (t) => {
  const nothing = (): void => {}
  const options = { code: 'FORKSAFE_ERR_LEASE_OPTIONS' }
  const wrong = (options: object): ExclusiveOptions => options
  t.throws(() => exclusive('', nothing), options)
  t.throws(() => exclusive('x'.repeat(201), nothing), options)
  t.throws(() => Reflect.apply(exclusive, null, ['work', 'not a function']), {
    ...options,
    message: /function/,
  })
  t.throws(() => exclusive('work', nothing, { scope: 'fleet' }), { ...options, message: /'machine'/ })
  t.throws(() => exclusive('work', nothing, wrong({ scope: 'world' })), options)
  t.throws(() => exclusive('work', nothing, wrong({ signal: {} })), options)
  t.same(resourcesNewestFirst(), [])
})
