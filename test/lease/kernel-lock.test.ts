import { spawn } from 'node:child_process'
import { once } from 'node:events'
import t from 'tap'
import { hasKernelLock, takeKernelLock } from '../../src/lease/kernel-lock.js'

if (!hasKernelLock()) {
  t.pass('the kernel lock', { skip: 'this platform has no abstract unix sockets' })
} else {
  const scope = `test ${process.pid}`

  t.test('one holder at a time, and the next when it is given back', async (t) => {
    const release = await takeKernelLock(scope, 'secret')
    t.ok(release)
    t.equal(await takeKernelLock(scope, 'secret'), null)
    await release?.()
    const again = await takeKernelLock(scope, 'secret')
    t.ok(again)
    await again?.()
  })

  t.test('another scope or another secret is another lock', async (t) => {
    const releases = await Promise.all([
      takeKernelLock(scope, 'a'),
      takeKernelLock(scope, 'b'),
      takeKernelLock(`${scope}!`, 'a'),
    ])
    for (const release of releases) {
      t.ok(release)
      await release?.()
    }
  })

  t.test('a stopped holder keeps it and a killed one gives it back', async (t) => {
    const module = new URL('../../dist/lease/kernel-lock.js', import.meta.url).href
    const code = `const { takeKernelLock } = await import(${JSON.stringify(module)})
      await takeKernelLock(${JSON.stringify(scope)}, 'secret'); console.log('held'); setInterval(() => {}, 1e6)`
    const holder = spawn(process.execPath, ['--input-type=module', '-e', code], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    t.teardown(() => holder.kill('SIGKILL'))
    await once(holder.stdout, 'data')
    holder.kill('SIGSTOP')
    t.equal(await takeKernelLock(scope, 'secret'), null)
    holder.kill('SIGKILL')
    await once(holder, 'exit')
    const release = await takeKernelLock(scope, 'secret')
    t.ok(release)
    await release?.()
  })
}
