// A supervisor under test is told apart from its surroundings, and what it leaves behind is found.

import { existsSync } from 'node:fs'
import { uptime } from 'node:os'
import t, { type Test } from 'tap'
import { uninstrumentChildren } from './clean-children.js'
import { SupervisorProcess, startSupervisor } from './supervisor-process.js'

uninstrumentChildren()

/** A program that is never started by a test as a supervisor is, but lives and prints like one. */
const program = (source: string) => ({ program: ['-e', source] })
const LIVES = `setInterval(() => {}, 60_000); console.log('up', process.pid);`
const STARTS_DETACHED = `require('child_process').spawn(process.execPath, ['-e', 'setInterval(() => {}, 60000)'], { detached: true, stdio: 'ignore' });`
const MAKES_HOME = `const fs = require('fs'); fs.mkdirSync(process.env.FORKSAFE_HOME, { mode: 0o700 });`

/** Without the teardown of startSupervisor, for what is meant to be left. */
const startUnguarded = (t: Test, source: string): SupervisorProcess => {
  const supervisor = new SupervisorProcess(program(source))
  t.teardown(() => supervisor.removeFolder())
  return supervisor
}

t.test('lines are waited for, whether printed already or not', async (t) => {
  const supervisor = startSupervisor(t, program(`${LIVES} setTimeout(() => console.error('late 7'), 50)`))
  t.same([...(await supervisor.waitForLine(/up (\d+)/))].slice(1), [String(supervisor.pid)])
  t.equal((await supervisor.waitForLine(/late (\d)/))[1], '7')
  t.equal((await supervisor.waitForLine(/up/))[0], 'up')
  await t.rejects(supervisor.waitForLine(/up/, { after: 1, timeout: 20 }), {
    message: /waited 20 ms for a line like \/up\/[\s\S]*late 7/,
  })
})

t.test('a line that can no longer come is told at once', async (t) => {
  const supervisor = startSupervisor(t, program(`console.log('bye')`))
  const begun = uptime()
  await t.rejects(supervisor.waitForLine(/never/, { timeout: 60_000 }), {
    message: /ended before it printed \/never\/[\s\S]*bye/,
  })
  t.ok(uptime() - begun < 60)
})

t.test('a signal to the group reaches everybody in it', async (t) => {
  const child = `require('child_process').spawn(process.execPath, ['-e', "process.on('SIGINT', () => { console.log('child got it'); process.exit() }); setInterval(() => {}, 60000); console.log('child up')"], { stdio: 'inherit' });`
  const supervisor = startSupervisor(
    t,
    program(
      `${child} process.on('SIGINT', () => { console.log('parent got it'); process.exit() }); ${LIVES}`,
    ),
  )
  await supervisor.waitForLine(/child up/)
  await supervisor.waitForLine(/^up/)
  t.equal(supervisor.members().length, 2)
  supervisor.signalGroup('SIGINT')
  await supervisor.waitForLine(/child got it/)
  await supervisor.waitForLine(/parent got it/)
  t.same(await supervisor.leavesNothing(), { code: 0, signal: null })
})

t.test('a process left behind, even in another session, is found and ended', async (t) => {
  const supervisor = startUnguarded(
    t,
    `${STARTS_DETACHED} console.log('up'); setTimeout(() => process.exit(0), 100)`,
  )
  await t.rejects(supervisor.leavesNothing(), {
    message: /no process of the supervisor to be left.*setInterval/,
  })
  await t.resolves(supervisor.leavesNothing(), 'it is gone now')
})

for (const name of ['app.sock', 'app.lock']) {
  t.test(`a ${name} left behind is found, unless the supervisor was killed`, async (t) => {
    const leaves = `${MAKES_HOME} fs.writeFileSync(process.env.FORKSAFE_HOME + '/${name}', '');`
    const stopped = startUnguarded(t, `${leaves} process.exit(0)`)
    await t.rejects(stopped.leavesNothing(), {
      message: new RegExp(`left in the runtime folder .*: ${name}`),
    })
    const killed = startUnguarded(t, `${leaves} ${LIVES}`)
    await killed.waitForLine(/up/)
    killed.signal('SIGKILL')
    t.same(await killed.leavesNothing(), { code: null, signal: 'SIGKILL' })
  })
}

t.test('one that will not end is ended by force, and that is an error', async (t) => {
  const supervisor = startUnguarded(t, `process.on('SIGTERM', () => {}); ${LIVES}`)
  await supervisor.waitForLine(/up/)
  supervisor.signal('SIGTERM')
  await t.rejects(supervisor.leavesNothing({ timeout: 100 }), {
    message: /waited 100 ms for the supervisor to exit/,
  })
  t.same(await supervisor.exited, { code: null, signal: 'SIGKILL' })
})

t.test('the folder of a supervisor that ended well is removed with its test', async (t) => {
  let folder = ''
  await t.test('runs one', async (t) => {
    const supervisor = startSupervisor(t, program(LIVES))
    folder = supervisor.folder
    await supervisor.waitForLine(/up/)
  })
  t.equal(existsSync(folder), false)
})
