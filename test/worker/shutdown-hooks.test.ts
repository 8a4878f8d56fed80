import { once } from 'node:events'
import t from 'tap'
import { ShutdownHooks } from '../../src/worker/shutdown-hooks.js'

const INFO = { signal: 'SIGTERM', reason: 'stop' } as const

t.test('hooks run one after another, the last registered first, with what happened', async (t) => {
  const hooks = new ShutdownHooks()
  const seen: unknown[] = []
  hooks.add((info) => seen.push(info))
  const remove = hooks.add(() => seen.push('removed'))
  hooks.add(async () => {
    await new Promise((resolve) => setImmediate(resolve))
    seen.push('slow')
  })
  remove()
  remove()
  t.same(await hooks.run(INFO, () => 5_000), [])
  t.same(seen, ['slow', INFO])
  await hooks.run(INFO, () => 5_000)
  t.equal(seen.length, 2, 'each runs once')
})

t.test('when no time is left the rest is called and named, not waited for', async (t) => {
  const hooks = new ShutdownHooks()
  const seen: string[] = []
  hooks.add(async function other() {
    seen.push('other')
    await new Promise(() => {})
  })
  hooks.add(async () => {
    seen.push('first')
    await new Promise(() => {})
  })
  const warnings: string[] = []
  const listen = (warning: Error): void => void warnings.push(warning.message)
  process.on('warning', listen)
  t.same(await hooks.run(INFO, () => 0), ['anonymous hook', 'other'])
  await new Promise((resolve) => setImmediate(resolve))
  process.removeListener('warning', listen)
  t.same(seen, ['first', 'other'])
  t.match(warnings, [/anonymous hook did not finish/, /other did not finish in its time; raise stopTimeout/])
})

t.test('work given to waitUntil() counts until it settles; a rejection is a warning', async (t) => {
  const hooks = new ShutdownHooks()
  const { promise, reject } = withReject()
  hooks.waitUntil(promise)
  hooks.waitUntil(Promise.resolve())
  t.equal(hooks.background, 2)
  const warned = once(process, 'warning')
  const settled = new Promise<void>((resolve) => hooks.onSettled(() => hooks.background === 0 && resolve()))
  reject(new Error('no luck'))
  await settled
  const [warning] = await warned
  t.match(warning.message, 'work given to waitUntil() failed: no luck')
})

const withReject = (): { promise: Promise<void>; reject: (error: Error) => void } => {
  let reject: (error: Error) => void = () => {}
  const promise = new Promise<void>((_, fail) => {
    reject = fail
  })
  return { promise, reject }
}

t.test(
  'who wants to hear of the drain is told at its beginning, once; who throws is a warning',
  async (t) => {
    const hooks = new ShutdownHooks()
    const seen: unknown[] = []
    let installed = 0
    hooks.onFirst(() => installed++)
    hooks.addDrainListener((info) => seen.push(info))
    hooks.addDrainListener(() => {
      throw new Error('not now')
    })
    const remove = hooks.addDrainListener(() => seen.push('removed'))
    remove()
    t.equal(installed, 3, 'a plain script drains for it, too')
    const warnings: string[] = []
    const listen = (warning: Error): void => void warnings.push(warning.message)
    process.on('warning', listen)
    hooks.drainBegun(INFO)
    hooks.drainBegun(INFO)
    await new Promise((resolve) => setImmediate(resolve))
    process.removeListener('warning', listen)
    t.same(seen, [INFO])
    t.same(warnings, ['listener of onDrain() failed: not now'])
  },
)
