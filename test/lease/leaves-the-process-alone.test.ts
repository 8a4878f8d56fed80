// Taking a lease changes nothing in the process that the application could notice: no listener, no hook, nothing that
// keeps it alive; an abort leaves no file, socket or timer; trouble is told and tried again.

import { spawnSync } from 'node:child_process'
import { setMaxListeners } from 'node:events'
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import t from 'tap'
import { installId } from '../../src/lease/install-id.js'
import { hasKernelLock, kernelLockIsFree, takeKernelLock } from '../../src/lease/kernel-lock.js'
import {
  type MachineRequest,
  type MachineWait,
  prepareMachineLease,
  takeMachineLease,
} from '../../src/lease/machine-lease.js'
import { cleanEnv, uninstrumentChildren } from '../support/clean-children.js'
import { withDeadline } from '../support/deadline.js'
import { nothingIsLeft, openResources } from '../support/open-resources.js'
import { LeaseProcess, newHome, recordFiles } from './lease-process.js'

uninstrumentChildren()

const REQUEST: MachineRequest = {
  kind: 'client',
  identity: 'feed',
  name: 'feed',
  origin: null,
  supervisor: null,
  slot: null,
  keepsAlive: true,
}
const wait = (extra: Partial<MachineWait> = {}): MachineWait => ({
  signal: new AbortController().signal,
  onLost: () => {},
  ...extra,
})
const useHome = (home: string): void => {
  process.env.FORKSAFE_HOME = home
}

t.test('no listener and no hook is left of what it loads, and a record of who exits stays', async (t) => {
  const home = newHome(t)
  const { stdout, status } = spawnSync(process.execPath, [resolve('test/lease/fixtures/counts-hooks.js')], {
    env: cleanEnv({ FORKSAFE_HOME: home }),
    encoding: 'utf8',
  })
  t.equal(status, 0)
  const [before, prepared, after] = stdout.trim().split('\n')
  t.match(before, /"isInherited":true,"areSame":\[true,true,true,true\]/)
  t.equal(prepared, before)
  t.equal(after, before)
  t.match(recordFiles(home).join(' '), /^\d+\.json \d+\.lock$/)
})

t.test('two callers in one process take turns, and nothing is left of them', async (t) => {
  useHome(newHome(t))
  prepareMachineLease()
  const before = openResources()
  const first = await takeMachineLease(REQUEST, wait())
  const second = takeMachineLease(REQUEST, wait())
  t.ok(first.isHeld())
  await first.release()
  t.notOk(first.isHeld())
  const next = await withDeadline(second, { what: 'the second to be granted' })
  t.equal(next.epoch, first.epoch + 1)
  await Promise.all([next.release(), next.release(), first.release()])
  await nothingIsLeft(before, 'two leases')
})

t.test('an abort ends the waiting with its reason and leaves nothing', async (t) => {
  const home = newHome(t)
  const owner = await LeaseProcess.holding(t, home)
  useHome(home)
  prepareMachineLease()
  const files = recordFiles(home)
  const before = openResources()
  const aborting = new AbortController()
  const standsBy = new Promise<number | undefined>((resolve) => {
    const signal = aborting.signal
    const options = wait({ signal, onStandsBy: (owner) => resolve(owner?.pid) })
    t.rejects(takeMachineLease(REQUEST, options), { message: 'enough' })
  })
  t.equal(await withDeadline(standsBy, { what: 'the waiter to wait' }), owner.pid)
  aborting.abort(new Error('enough'))
  await nothingIsLeft(before, 'the waiter')
  t.same(recordFiles(home), files)
  await t.rejects(takeMachineLease(REQUEST, wait({ signal: aborting.signal })), { message: 'enough' })
})

t.test('what keeps the lease from being taken is told, and it is taken when that has ended', async (t) => {
  const home = newHome(t)
  useHome(home)
  const first = await takeMachineLease(REQUEST, wait())
  await first.release()
  const [key = ''] = readdirSync(join(home, 'leases'))
  const folder = join(home, 'leases', key)
  rmSync(folder, { recursive: true })
  writeFileSync(folder, '')
  const told = await new Promise<string>((resolve) => {
    const taken = takeMachineLease(
      REQUEST,
      wait({
        onTrouble: (text) => {
          rmSync(folder, { force: true })
          taken.then((hold) => hold.release()).then(() => resolve(text))
        },
      }),
    )
  })
  t.match(told, /^the lease of feed cannot be taken: ENOTDIR/)
})

t.test('a runtime folder that cannot be used safely is refused at once', async (t) => {
  const home = newHome(t)
  useHome(home)
  writeFileSync(home, '')
  await t.rejects(takeMachineLease(REQUEST, wait()), { code: 'FORKSAFE_ERR_RUNTIME_FOLDER' })
})

t.test('the install id stays, is readable only to its user, and comes without a draft', async (t) => {
  const home = newHome(t)
  mkdirSync(home, { mode: 0o700 })
  const id = installId(home)
  t.match(id, /^[0-9a-f]{32}$/)
  t.equal(installId(home), id)
  t.equal(readFileSync(join(home, 'install-id'), 'utf8'), id)
  t.equal(statSync(join(home, 'install-id')).mode & 0o777, 0o600)
  t.same(readdirSync(home), ['install-id'])
})

if (hasKernelLock()) {
  const scope = `waiters ${process.pid}`
  const options = () => ({ signal: new AbortController().signal, keepsAlive: true })

  t.test('a kernel lock that nobody holds is free at once, and one given back wakes who waits', async (t) => {
    t.equal(await kernelLockIsFree(scope, 's', options()), 'free')
    const release = await takeKernelLock(scope, 's')
    const waiting = kernelLockIsFree(scope, 's', options())
    const isClosed = release?.()
    const next = takeKernelLock(scope, 's')
    await isClosed
    t.equal(await withDeadline(waiting, { what: 'the waiter to be woken' }), 'free')
    const releaseNext = await next
    t.ok(releaseNext, 'free in the turn in which it was given back')
    await releaseNext?.()
  })

  t.test('more waiters than a holder keeps are told so', async (t) => {
    const before = openResources()
    const release = await takeKernelLock(scope, 's')
    const aborting = new AbortController()
    setMaxListeners(0, aborting.signal)
    const answers: string[] = []
    const waiters = Array.from({ length: 260 }, () =>
      kernelLockIsFree(scope, 's', { signal: aborting.signal, keepsAlive: true }).then((answer) => {
        answers.push(answer)
        if (answers.length === 4) aborting.abort(new Error('seen'))
      }),
    )
    const ended = await withDeadline(Promise.allSettled(waiters), { what: 'four to be told' })
    t.same(answers, Array(4).fill('unknown'))
    t.equal(ended.filter(({ status }) => status === 'rejected').length, 256)
    await release?.()
    await nothingIsLeft(before, 'the waiters')
  })
}
