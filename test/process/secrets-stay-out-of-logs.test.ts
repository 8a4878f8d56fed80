// A worker that writes its secrets to stdout and stderr, in pieces and in an uncaught error: no output of the supervisor
// holds them.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { uninstrumentChildren } from '../support/clean-children.js'
import { freePort } from '../support/free-port.js'
import { recordingUpstream } from '../support/recording-upstream.js'
import { startSupervisor } from '../support/supervisor-process.js'

uninstrumentChildren()

const TOKEN = 'sësame "open" 0815'
const KNOWN = [TOKEN, encodeURIComponent(TOKEN), JSON.stringify(TOKEN).slice(1, -1)]
const LEAKS = [...KNOWN, 'hunter22', 'hunter%3222', 'from-the-header', 'unknown-pw', 'me:']

t.test('neither outputs, log file, logs nor status hold a secret', async (t) => {
  const upstream = await recordingUpstream(t)
  const port = await freePort()
  const file = join(t.testdir({}), 'logs', 'api.log')
  const supervisor = startSupervisor(t, {
    args: ['test/process/fixtures/leaks-its-secrets.js', '--log-file', file, '--secret', 'TOKEN'],
    env: { PORT: String(port), TOKEN, UPSTREAM: upstream.url.replace('://', '://me:hunter%3222@') },
  })
  await supervisor.waitUntilReady(20_000)
  const seen: string[] = []
  await fetch(`http://127.0.0.1:${port}/`)
  await supervisor.waitForLine(/all is said/)
  seen.push((await supervisor.cli('logs', '-n', '1000')).stdout)
  await fetch(`http://127.0.0.1:${port}/throw`)
  const crashed = await supervisor.waitForStatus(
    ({ workers }) => workers.some(({ lastExit }) => lastExit?.reason.includes('cannot log in') === true),
    'the crash to be known',
  )
  const stopped = await supervisor.cli('stop', '--json')
  t.match(await supervisor.leavesNothing(), { code: 0 })
  seen.push(JSON.stringify(crashed), stopped.stdout, supervisor.lines.join('\n'), readFileSync(file, 'utf8'))
  for (const [index, text] of seen.entries()) {
    t.ok(text.length > 50, `text ${index}`)
    for (const leak of LEAKS) t.notOk(text.includes(leak), `text ${index} holds ${leak}`)
  }
  t.match(JSON.stringify(crashed), /cannot log in with \[redacted\] at ws:\/\/\[redacted\]@/)
  const lines = readFileSync(file, 'utf8')
  t.match(lines, / halves \[redacted\]\n/)
  t.match(lines, /x\[red\n(.*\n)*?.* acted\]y/, 'the cut goes through what stands there instead')
})
