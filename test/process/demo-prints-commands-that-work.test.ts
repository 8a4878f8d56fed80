// The demo (npm start): each command that it prints works as printed, and it ends with everything accounted for.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import t, { type Test } from 'tap'
import { cleanEnv, uninstrumentChildren } from '../support/clean-children.js'
import { type SupervisorProcess, startSupervisor } from '../support/supervisor-process.js'

uninstrumentChildren()

const startDemo = (t: Test, env: NodeJS.ProcessEnv = {}): SupervisorProcess =>
  startSupervisor(t, { program: ['examples/feed/demo.js'], env })

/** Settles when the demo has told what can be typed, and both connections are open. */
const waitUntilOpen = async (demo: SupervisorProcess): Promise<void> => {
  await demo.waitForLine(/^forksafe demo: 2 workers ready in \d+\.\d s$/)
  await demo.waitForLine(/^upstream {2}open .*\(now 2\)$/)
}

/** The indented lines, without what is said about a command two or more spaces further on. */
const printedCommands = (demo: SupervisorProcess): string[] =>
  demo.lines.flatMap((line) => /^ {2}((?:curl|npx) .*?)(?: {2,}|$)/.exec(line)?.[1] ?? [])

/** Types a command into a shell. npm has no registry and an empty cache: nothing can come from elsewhere. */
const type = async (
  demo: SupervisorProcess,
  command: string,
): Promise<{ code: number | null; output: string }> => {
  const shell = spawn('sh', ['-c', `${command} 2>&1`], {
    env: cleanEnv({
      FORKSAFE_HOME: demo.home,
      npm_config_registry: 'http://127.0.0.1:9/',
      npm_config_cache: `${demo.folder}/npm`,
      npm_config_update_notifier: 'false',
    }),
    stdio: ['ignore', 'pipe', 'inherit'],
    timeout: 60_000,
  })
  const [output, [code]] = await Promise.all([text(shell.stdout), once(shell, 'close')])
  return { code, output }
}

t.test('every command that the demo prints does what it says', async (t) => {
  const demo = startDemo(t)
  await waitUntilOpen(demo)
  const [curl = '', status = '', reload = '', ...others] = printedCommands(demo)
  t.same(others, [])

  const posted = await type(demo, curl)
  t.match(posted.output, /\{"worker":[01],"pid":\d+,"generation":1,"receipt":\{.*"level":"received"/)

  const told = await type(demo, status)
  t.equal(told.code, 0, told.output)
  t.match(told.output, /feed-demo +running/)

  const after = demo.lines.length
  const rolled = await type(demo, reload)
  t.equal(rolled.code, 0, rolled.output)
  for (const slot of [0, 1]) {
    await demo.waitForLine(new RegExp(`^upstream  open +worker ${slot} +generation 2 `), { after })
    await demo.waitForLine(new RegExp(`^upstream  close +worker ${slot} +generation 1 +code 1001 `), {
      after,
    })
  }

  demo.signalGroup('SIGINT')
  await demo.waitForLine(/^4 opened, 4 closed with a Close frame, 0 left$/)
  t.same(await demo.leavesNothing(), { code: 0, signal: null })
})

t.test('Ctrl-C under npm, which passes on what the terminal has sent, still ends it in order', async (t) => {
  const demo = startDemo(t, { npm_lifecycle_event: 'start' })
  await waitUntilOpen(demo)
  demo.signalGroup('SIGINT')
  demo.signal('SIGINT')
  await demo.waitForLine(/^2 opened, 2 closed with a Close frame, 0 left$/)
  t.same(await demo.leavesNothing(), { code: 0, signal: null })
})

t.test('a signal to the demo alone is passed on to its supervisor', async (t) => {
  const demo = startDemo(t)
  await waitUntilOpen(demo)
  demo.signal('SIGTERM')
  await demo.waitForLine(/^2 opened, 2 closed with a Close frame, 0 left$/)
  t.same(await demo.leavesNothing(), { code: 0, signal: null })
})
