// Running lsof where it is missing, fails, hangs, or does not know all that it was asked for. That it agrees with /proc:
// snapshot-agrees.test.ts.

import { spawn } from 'node:child_process'
import { chmodSync } from 'node:fs'
import t, { type Test } from 'tap'
import { readFromLsof } from '../../src/audit/lsof-source.js'
import { isGone } from '../../src/audit/process-problem.js'
import { cleanEnv, uninstrumentChildren } from '../support/clean-children.js'
import { needsPackage } from '../support/tools.js'

uninstrumentChildren()
const needsLsof = needsPackage('lsof', '/usr/bin/lsof')

const script = (t: Test, text: string): string => {
  const command = `${t.testdir({ lsof: `#!/bin/sh\n${text}\n` })}/lsof`
  chmodSync(command, 0o700)
  return command
}

t.test('where it is missing the error says what to install', async (t) => {
  await t.rejects(readFromLsof([process.pid], { command: `${t.testdir()}/lsof` }), {
    code: 'FORKSAFE_ERR_AUDIT_UNAVAILABLE',
    retryable: false,
    message: /^sockets cannot be listed: lsof is not installed; install it \(.*apt-get install lsof/,
    details: { command: 'lsof' },
  })
})

t.test('where it fails the error has its first words', async (t) => {
  const command = script(t, 'echo "lsof: illegal option character: z" >&2; echo more >&2; exit 1')
  await t.rejects(readFromLsof([process.pid], { command }), {
    code: 'FORKSAFE_ERR_AUDIT_UNAVAILABLE',
    message: 'sockets cannot be listed: lsof failed: lsof: illegal option character: z',
  })
})

t.test('where it hangs it is killed at the bound', async (t) => {
  const command = script(t, 'exec sleep 60')
  await t.rejects(readFromLsof([process.pid], { command, timeout: 200 }), {
    code: 'FORKSAFE_ERR_AUDIT_UNAVAILABLE',
    message: /lsof did not end within 0.2 s/,
  })
})

t.test('a signal ends it', async (t) => {
  const command = script(t, 'exec sleep 60')
  const controller = new AbortController()
  const reading = readFromLsof([process.pid], { command, signal: controller.signal })
  controller.abort(new Error('enough'))
  await t.rejects(reading, /enough/)
})

t.test('who is gone is told with its process, and the others are there', needsLsof, async (t) => {
  const { processes, unowned } = await readFromLsof([2 ** 22 + 1, process.pid])
  t.match(processes, [{ pid: 2 ** 22 + 1 }, { pid: process.pid, problem: null, ppid: process.ppid }])
  t.ok(processes[0] && isGone(processes[0]))
  t.same(unowned, [])
  t.ok((await readFromLsof([2 ** 22 + 1])).processes.every(isGone), 'also when nobody is left')
  t.same((await readFromLsof([])).processes, [])
})

t.test('who may not be read is told with the reason', { ...needsLsof, ...needsRoot() }, async (t) => {
  const asNobody = `
    const { takeSnapshot } = await import(${JSON.stringify(new URL('../../dist/audit/take-snapshot.js', import.meta.url).href)})
    process.setgroups([]); process.setgid(65534); process.setuid(65534)
    const { processes } = await takeSnapshot([${process.pid}], { source: 'lsof' })
    process.stdout.write(processes[0].problem)`
  const asker = spawn(process.execPath, ['--input-type=module', '-e', asNobody], {
    env: cleanEnv(),
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const said = (await asker.stdout.toArray()).join('')
  t.equal(said, 'lsof does not list it: ask as its user or as root')
})

function needsRoot(): { skip: string } | Record<string, never> {
  return process.getuid?.() === 0 ? {} : { skip: 'needs root' }
}
