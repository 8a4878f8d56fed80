import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import t, { type Test } from 'tap'
import { cleanEnv, uninstrumentChildren } from '../support/clean-children.js'
import { get } from './support/get.js'
import { fixture } from './support/primary.js'
import { closeFrames, opened, recordingUpstream } from './support/upstream.js'

uninstrumentChildren()

interface Program {
  process: ChildProcess
  started: { port: number; listeners: number; supervised: boolean }
  output(): string
  said(text: string): Promise<void>
  /** Code and signal, when it has ended and its output is complete. */
  ended: Promise<unknown[]>
}

const start = async (t: Test, env: NodeJS.ProcessEnv, script = ['standalone-app.js']): Promise<Program> => {
  const process = spawn(globalThis.process.execPath, script.map(fixture), {
    env: cleanEnv(env),
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
  })
  t.teardown(() => process.kill('SIGKILL'))
  const { stdout } = process
  if (stdout === null) throw new Error('no stdout')
  // Not 'close': Node does not emit it after disconnect() on this side.
  const ended = Promise.all([once(process, 'exit'), once(stdout, 'close')]).then(([exit]) => exit)
  let output = ''
  let watch = (): void => {}
  stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text
    watch()
  })
  const said = async (text: string): Promise<void> => {
    while (!output.includes(text)) {
      await new Promise<void>((resolve, reject) => {
        const timer = setTimeout(() => reject(new Error(`no "${text}" within 15 s, only: ${output}`)), 15_000)
        watch = () => {
          clearTimeout(timer)
          resolve()
        }
      })
    }
  }
  await said('}\n')
  const started = JSON.parse(output.split('\n').find((line) => line.startsWith('{')) ?? '{}')
  return { process, started, output: () => output, said, ended }
}

t.test('a signal drains a plain script, which then ends by that signal', async (t) => {
  const program = await start(t, { USES: 'server,hook' })
  t.equal(program.started.supervised, false)
  const answer = get(program.started.port, '/')
  await program.said('asked')
  program.process.kill('SIGTERM')
  t.equal(await answer, 'answered', 'the request in flight is answered')
  t.same(await program.ended, [null, 'SIGTERM'])
  t.match(program.output(), 'hook SIGTERM signal')
})

t.test('an own listener runs at the end of the drain and decides the exit code', async (t) => {
  const program = await start(t, { USES: 'server,hook', LISTENS: 'SIGINT' })
  const answer = get(program.started.port, '/')
  await program.said('asked')
  program.process.kill('SIGINT')
  t.equal(await answer, 'answered')
  t.same(await program.ended, [5, null])
  t.match(program.output(), /hook SIGINT signal\nown SIGINT\n$/)
})

t.test('the first client is enough, and is closed', async (t) => {
  const upstream = await recordingUpstream(t)
  const program = await start(t, { UPSTREAM: upstream.url })
  await opened(upstream, 1)
  program.process.kill('SIGINT')
  t.same(await closeFrames(upstream, 1), [{ code: 1000, reason: 'drained' }])
  t.same(await program.ended, [null, 'SIGINT'])
})

t.test('importing alone touches no signal', async (t) => {
  const program = await start(t, { USES: 'timer' })
  t.equal(program.started.listeners, 0)
  program.process.kill('SIGTERM')
  t.same(await program.ended, [null, 'SIGTERM'])
})

t.test('a program whose client is closed ends by itself', async (t) => {
  const upstream = await recordingUpstream(t)
  const program = await start(t, { UPSTREAM: upstream.url, LISTENS: 'SIGTERM', USES: 'hook' })
  await opened(upstream, 1)
  // The fixture listens to messages, which keeps a process with a channel alive: close the channel.
  upstream.closeAll(1000)
  program.process.disconnect()
  t.same(await program.ended, [0, null])
})

t.test('a hook does not keep alive a process that has a channel', async (t) => {
  const program = await start(t, { USES: 'hook' })
  t.same(await program.ended, [0, null])
})

t.test('pm2: ready() is passed on, `shutdown` drains, exit code 0', async (t) => {
  const upstream = await recordingUpstream(t)
  const program = await start(t, { USES: 'hook', UPSTREAM: upstream.url, pm_id: '0' })
  await opened(upstream, 1)
  program.process.send('shutdown')
  t.same(await closeFrames(upstream, 1), [{ code: 1000, reason: 'drained' }])
  t.same(await program.ended, [0, null])
  t.match(program.output(), 'hook null message')
})

t.test('pm2: a signal ends with exit code 0, within kill_timeout', async (t) => {
  const program = await start(t, { USES: 'stuck,timer', pm_id: '0', kill_timeout: '700' })
  program.process.kill('SIGINT')
  t.same(await program.ended, [0, null])
})

t.test('a second signal does not wait for hooks', async (t) => {
  const program = await start(t, { USES: 'stuck,timer' })
  program.process.kill('SIGINT')
  await program.said('stuck')
  program.process.kill('SIGINT')
  t.same(await program.ended, [null, 'SIGINT'])
})

t.test('a process that becomes a primary has its signals back', async (t) => {
  const program = await start(t, { USES: 'hook,timer,primary' })
  t.equal(program.started.listeners, 0)
  program.process.kill('SIGTERM')
  t.same(await program.ended, [null, 'SIGTERM'])
  t.notMatch(program.output(), 'hook SIGTERM')
})

t.test('a worker of another cluster whose primary dies closes its clients', async (t) => {
  const upstream = await recordingUpstream(t)
  const program = await start(t, { UPSTREAM: upstream.url, USES: 'hook,server' }, [
    'foreign-primary.js',
    'standalone-app.js',
  ])
  await opened(upstream, 1)
  program.process.kill('SIGKILL')
  t.same(await closeFrames(upstream, 1), [{ code: 1000, reason: 'drained' }])
  // Its output ends when the worker, which has inherited it, is gone too.
  await program.ended
  t.match(program.output(), 'hook null orphaned')
})
