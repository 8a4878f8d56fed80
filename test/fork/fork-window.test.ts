// The fork window with stand-ins for resources; the same with real sockets and real workers is in test/process.

import t from 'tap'
import { inForkWindow } from '../../src/fork/fork-window.js'
import { type Resource, registerResource } from '../../src/shared/resources.js'

interface Probe extends Resource {
  isUp: boolean
}

const resource = (
  name: string,
  log: string[],
  init: { isUp: boolean; suspends?: () => Promise<void> },
): Probe => {
  let wasUp = init.isUp
  return {
    name,
    isUp: init.isUp,
    isWanted() {
      return this.isUp
    },
    isOpen() {
      return this.isUp
    },
    report: () => ({
      name,
      identity: name,
      state: 'open',
      role: 'own',
      epoch: 1,
      pending: 0,
      confirmed: 0,
      reconnects: 0,
    }),
    async suspend() {
      log.push(`suspend ${name}`)
      await init.suspends?.()
      wasUp = this.isUp
      this.isUp = false
      log.push(`suspended ${name}`)
    },
    resume() {
      this.isUp = wasUp
      log.push(`resume ${name}`)
    },
    shutDown: async () => {},
    closeSync: () => {},
  }
}

const setUp = (
  t: { teardown: (undo: () => void) => void },
  log: string[],
  ...inits: [string, Parameters<typeof resource>[2]][]
): Probe[] =>
  inits.map(([name, init]) => {
    const one = resource(name, log, init)
    t.teardown(registerResource(one))
    return one
  })

const quiet = { timeout: 1_000, warn: (): void => {} }

t.test('everything is closed before the fork and the hooks surround it', async (t) => {
  const log: string[] = []
  const [a, b] = setUp(t, log, ['a', { isUp: true }], ['b', { isUp: false }])
  const hook = (name: string) => (): void => void log.push(name)
  const result = await inForkWindow(
    { slots: [0], reason: 'start' },
    { ...quiet, beforeFork: hook('beforeFork'), afterFork: hook('afterFork') },
    () => {
      log.push(`fork with a ${a?.isUp}, b ${b?.isUp}`)
      return 42
    },
  )
  t.equal(result, 42)
  t.same(log, [
    'suspend b',
    'suspend a',
    'suspended b',
    'suspended a',
    'beforeFork',
    'fork with a false, b false',
    'afterFork',
    'resume a',
    'resume b',
  ])
  t.equal(a?.isUp, true)
  t.equal(b?.isUp, false)
})

t.test('a resource that never closes delays the fork by the bound and no more, and is named', async (t) => {
  const warnings: string[] = []
  setUp(t, [], ['stuck', { isUp: true, suspends: () => new Promise(() => {}) }])
  let hasForked = false
  await inForkWindow(
    { slots: [0], reason: 'reload' },
    { timeout: 30, warn: (text) => warnings.push(text) },
    () => {
      hasForked = true
    },
  )
  t.ok(hasForked)
  t.match(warnings, [/stuck did not close before a fork/])
})

t.test('a hook that fails or hangs is named and the fork goes on', async (t) => {
  const warnings: string[] = []
  let forks = 0
  for (const beforeFork of [
    () => {
      throw new Error('no')
    },
    () => Promise.reject(new Error('no')),
    () => new Promise(() => {}),
  ]) {
    await inForkWindow(
      { slots: [0], reason: 'start' },
      { timeout: 20, beforeFork, warn: (text) => warnings.push(text) },
      () => forks++,
    )
  }
  t.equal(forks, 3)
  t.match(warnings, [/beforeFork failed: no/, /beforeFork failed: no/, /beforeFork did not finish within/])
})

t.test('what was open is opened again even when the fork throws', async (t) => {
  const [a] = setUp(t, [], ['a', { isUp: true }])
  await t.rejects(
    inForkWindow({ slots: [0], reason: 'start' }, quiet, () => {
      throw new Error('EAGAIN')
    }),
    /EAGAIN/,
  )
  t.equal(a?.isUp, true)
})

t.test('a resource that appears while the window is open is kept closed until it is over', async (t) => {
  const log: string[] = []
  const beforeFork = (): void => void setUp(t, log, ['late', { isUp: false }])
  await inForkWindow({ slots: [0], reason: 'start' }, { ...quiet, beforeFork }, () => log.push('fork'))
  t.same(log, ['suspend late', 'suspended late', 'fork', 'resume late'])
})
