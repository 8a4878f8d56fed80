// As systemd runs it: Type=notify, WatchdogSec, both ways to stop. A real datagram socket stands for systemd's end.

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { askPid } from '../support/ask-pid.js'
import { uninstrumentChildren } from '../support/clean-children.js'
import { eventually } from '../support/deadline.js'
import { freePort } from '../support/free-port.js'
import { describeLoad, startLoad } from '../support/load.js'
import { type NotifyReceiver, notifyReceiver, PYTHON } from '../support/notify-receiver.js'
import { environmentOf } from '../support/process-tree.js'
import { recordingUpstream } from '../support/recording-upstream.js'
import { CLI } from '../support/run-cli.js'
import { type StartOptions, type SupervisorProcess, startSupervisor } from '../support/supervisor-process.js'
import { needsPackage } from '../support/tools.js'

uninstrumentChildren()

const needsNotify = {
  ...needsPackage('python3', PYTHON),
  ...needsPackage('systemd', '/usr/bin/systemd-notify'),
}
const FEED = ['examples/feed/app.js', '-i', '2', '--name', 'feed', '--min-uptime', '100ms']
const PLAIN = ['test/process/fixtures/plain-http.js', '-i', '2', '--name', 'plain', '--min-uptime', '100ms']
const TO_A_SERVICE = /^(NOTIFY_|WATCHDOG_|LISTEN_|SYSTEMD_EXEC_PID|MAINPID|MANAGERPID)/

/** As in a unit; WATCHDOG_PID is the pid of whoever is started, and unknown here: systemd leaves it out in scopes. */
const unit = ({ socket }: NotifyReceiver, more: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv => ({
  NOTIFY_SOCKET: socket,
  LISTEN_PID: '1',
  LISTEN_FDS: '0',
  SYSTEMD_EXEC_PID: '1',
  ...more,
})

const waitForStatus = (receiver: NotifyReceiver, pattern: RegExp, timeout?: number) =>
  receiver.waitFor(({ variables }) => pattern.test(variables.STATUS ?? ''), `STATUS=${pattern}`, timeout)

const waitForTurn = (receiver: NotifyReceiver, turn: string, timeout?: number) =>
  receiver.waitFor(({ variables }) => variables[turn] === '1', turn, timeout)

/** What systemd does to stop a service. */
const STOPS: [killMode: string, stop: (supervisor: SupervisorProcess) => void][] = [
  ['mixed', (supervisor) => supervisor.signal('SIGTERM')],
  ['control-group', (supervisor) => supervisor.signalGroup('SIGTERM')],
]

t.test('under systemd', needsNotify, async (t) => {
  for (const [killMode, stop] of STOPS) {
    t.test(
      `KillMode=${killMode}: states come in order, no request fails in a reload, each connection ends properly`,
      async (t) => {
        const receiver = await notifyReceiver(t)
        const upstream = await recordingUpstream(t)
        const port = await freePort()
        const gate = join(t.testdir({}), 'gate')
        const supervisor = startSupervisor(t, {
          args: FEED,
          env: unit(receiver, {
            FORKSAFE_NODE_ARGS: '--import ./test/process/fixtures/waits-for-gate.js',
            GATE: gate,
            UPSTREAM: upstream.url,
            PORT: String(port),
          }),
        })
        await waitForStatus(receiver, /^starting: 0 of 2 workers ready$/)
        t.same(receiver.turns(), [], 'nothing is ready yet')
        writeFileSync(gate, '')
        const ready = await waitForTurn(receiver, 'READY')
        t.match(ready.variables, { STATUS: '2 of 2 workers ready, generation 1' })
        const { workers } = await supervisor.waitUntilReady()
        await upstream.waitFor(({ open }) => open.length === 2, { what: 'two connections' })
        for (const { pid } of workers) {
          const names = environmentOf(pid ?? 0).map((entry) => entry.split('=', 1)[0] ?? '')
          t.ok(names.includes('SUPERVISOR_SLOT'))
          t.same(
            names.filter((name) => TO_A_SERVICE.test(name)),
            [],
          )
        }

        const load = startLoad({
          port,
          path: '/feed',
          slowPath: '/feed',
          clients: { keepalive: 5, close: 3, slow: 2, slowReused: 2 },
        })
        await load.finished(100)
        const askedAt = microseconds()
        t.equal((await supervisor.cli('reload')).code, 0)
        await receiver.waitFor(
          ({ variables }) => / generation 2$/.test(variables.STATUS ?? ''),
          'generation 2',
        )
        const result = await load.stop()
        t.equal(result.failed, 0, describeLoad(result))
        t.ok(result.requests > 100)
        const reloading = await waitForTurn(receiver, 'RELOADING')
        const at = Number(reloading.variables.MONOTONIC_USEC)
        t.ok(askedAt <= at && at <= reloading.at, `${askedAt} <= ${at} <= ${reloading.at}`)

        await upstream.waitFor(({ open }) => open.length === 2, {
          what: 'two connections of the new workers',
        })
        stop(supervisor)
        t.same(await supervisor.leavesNothing(), { code: 0, signal: null })
        t.same(receiver.turns(), ['READY', 'RELOADING', 'READY', 'STOPPING'])
        t.match((await waitForTurn(receiver, 'STOPPING')).variables, {
          STATUS: /^stopping within 25s \(SIGTERM\): [12] workers? left$/,
          EXTEND_TIMEOUT_USEC: '30000000',
        })
        // Read when its process had not ended yet: nobody says it after that.
        await waitForStatus(receiver, /^stopped$/)
        t.equal(receiver.statuses().at(-1), 'stopped')
        t.equal(upstream.connected.length, 0)
        t.same(
          upstream.upgraded.map(({ code }) => code),
          [1001, 1001, 1001, 1001],
        )
      },
    )
  }

  t.test('a release that is rolled back is ready again, and says why it is the old one', async (t) => {
    const receiver = await notifyReceiver(t)
    const { supervisor, swap } = await onRelease(t, receiver)
    swap('test/process/fixtures/throws-at-boot.js')
    t.equal((await supervisor.cli('reload')).code, 5)
    await waitForStatus(receiver, /^2 of 2 workers ready, generation 1; generation 2 was given up: worker 0 /)
    t.same(receiver.turns(), ['READY', 'RELOADING', 'READY'])
  })

  t.test('a long stop gets more time as long as its own budget lasts', async (t) => {
    const receiver = await notifyReceiver(t)
    const port = await freePort()
    const supervisor = startSupervisor(t, {
      args: ['test/process/fixtures/never-drains.js', '-i', '1', '--stop-timeout', '12s'],
      env: unit(receiver, { PORT: String(port) }),
    })
    await waitForTurn(receiver, 'READY')
    const hanging = fetch(`http://127.0.0.1:${port}/hang`).catch(() => 'ended')
    await askPid(port)
    supervisor.signal('SIGTERM')
    t.same(await supervisor.leavesNothing(), { code: 0, signal: null })
    t.equal(await hanging, 'ended')
    const stopping = receiver.received.filter(({ variables }) => variables.EXTEND_TIMEOUT_USEC).slice(-2)
    const [first, second] = stopping.map(({ at, variables }) => ({
      at,
      by: Number(variables.EXTEND_TIMEOUT_USEC),
    }))
    t.match(stopping[0]?.variables, { STOPPING: '1', EXTEND_TIMEOUT_USEC: '17000000' })
    const gap = ((second?.at ?? 0) - (first?.at ?? 0)) / 1e6
    t.ok(gap > 9.5 && gap < 15, `${gap} s`)
    t.ok((second?.by ?? 0) <= 7_000_000, 'no more than is left, and 5 s')
    t.equal(receiver.statuses().at(-1), 'stopped')
  })

  t.test('a supervisor that gives up says why with its last words', async (t) => {
    const receiver = await notifyReceiver(t)
    const supervisor = startSupervisor(t, {
      args: ['test/process/fixtures/throws-at-boot.js', '--restart', 'intensity=1,onExceeded=exit'],
      env: unit(receiver),
    })
    t.equal((await supervisor.leavesNothing()).code, 7)
    t.same(receiver.turns(), ['STOPPING'])
    t.match(
      receiver.statuses().at(-1),
      /^stopped: worker 0 crashed 2 times within 1m, last: exited with code 1/,
    )
  })

  t.test('it is refused in the background, where systemd would watch a process that has ended', async (t) => {
    const receiver = await notifyReceiver(t)
    // exec: the shell's pid becomes the supervisor's, as with systemd, which sets the variable between fork and exec.
    const command = `SYSTEMD_EXEC_PID=$$ exec ${process.execPath} ${CLI} start ${PLAIN.join(' ')} --detach`
    const supervisor = startSupervisor(t, {
      executable: '/bin/sh',
      program: ['-c', command],
      env: unit(receiver),
    })
    await supervisor.waitForLine(/--detach.*cannot be used in a unit with Type=notify.*leave it out/)
    t.same(await supervisor.leavesNothing(), { code: 78, signal: null })
    t.same(receiver.received, [])
  })

  t.test('signs of life end while the primary stands still, and the unit can be started again', async (t) => {
    const receiver = await notifyReceiver(t)
    const port = await freePort()
    const start: StartOptions = {
      program: ['test/process/fixtures/blocks-its-primary.js'],
      env: unit(receiver, {
        WATCHDOG_USEC: '1000000',
        SCRIPT: 'test/process/fixtures/plain-http.js',
        PORT: String(port),
        BLOCK_MS: '60000',
      }),
    }
    const supervisor = startSupervisor(t, start)
    await waitForTurn(receiver, 'READY')
    const signs = () => receiver.received.filter(({ variables }) => variables.WATCHDOG === '1')
    await eventually(signs, ({ length }) => length >= 4, { what: 'four signs of life' })
    for (const [n, { at }] of signs().entries()) t.ok(at - (signs()[n - 1]?.at ?? at) < 1_000_000, 'in time')

    supervisor.signal('SIGALRM')
    await supervisor.waitForLine(/^blocking$/)
    // systemd's part: it waits for a second, ends everybody of the unit, without a chance, and starts anew.
    await eventually(
      () => microseconds() - Math.max(...receiver.received.map(({ at }) => at)),
      (silence) => silence > 1_500_000,
      { what: 'a silence that systemd would act on' },
    )
    supervisor.signalGroup('SIGKILL')
    await supervisor.leavesNothing()
    const again = startSupervisor(t, { ...start, home: supervisor.home })
    await eventually(
      () => receiver.turns(),
      (turns) => turns.length === 2,
      { what: 'the next one to be ready' },
    )
    t.same(receiver.turns(), ['READY', 'READY'])
    t.ok(await askPid(port))
    again.signal('SIGTERM')
    t.same(await again.leavesNothing(), { code: 0, signal: null })
  })

  t.test('a systemd that does not read delays neither start nor stop', async (t) => {
    const receiver = await notifyReceiver(t)
    receiver.signal('SIGSTOP')
    const port = await freePort()
    const supervisor = startSupervisor(t, {
      args: PLAIN,
      env: unit(receiver, { PORT: String(port), WATCHDOG_USEC: '500000' }),
    })
    await supervisor.waitUntilReady()
    const begunAt = performance.now()
    // The whole group: also systemd-notify, in the middle of a message.
    supervisor.signalGroup('SIGTERM')
    t.same(await supervisor.leavesNothing(), { code: 0, signal: null })
    const ms = performance.now() - begunAt
    t.ok(ms < 3_000, `${ms} ms: a second of it for the last words`)
    receiver.signal('SIGCONT')
  })
})

t.test(
  'with a NOTIFY_SOCKET where nobody listens it runs all the same, and says so once',
  needsNotify,
  async (t) => {
    const supervisor = startSupervisor(t, {
      args: PLAIN,
      env: { NOTIFY_SOCKET: '/nowhere/notify', WATCHDOG_USEC: '100000', WATCHDOG_PID: '1', PORT: '0' },
    })
    await supervisor.waitUntilReady()
    t.equal((await supervisor.cli('reload')).code, 0)
    supervisor.signal('SIGTERM')
    t.same(await supervisor.leavesNothing(), { code: 0, signal: null })
    t.equal(supervisor.lines.filter((line) => /systemd cannot be told/.test(line)).length, 1)
    t.equal(
      supervisor.lines.filter((line) => /watchdog waits for process 1, and this is/.test(line)).length,
      1,
    )
  },
)

/** CLOCK_MONOTONIC, as the receiver has it. */
const microseconds = (): number => Number(process.hrtime.bigint() / 1_000n)

/** A supervisor of a script that is replaced by another one. */
const onRelease = async (t: Test, receiver: NotifyReceiver) => {
  const folder = t.testdir({})
  const script = join(folder, 'release.mjs')
  const swap = (file: string): void => writeFileSync(script, `import '${process.cwd()}/${file}'\n`)
  swap('test/process/fixtures/plain-http.js')
  const args = [script, '-i', '2', '--name', 'release', '--min-uptime', '100ms']
  const supervisor = startSupervisor(t, { args, env: unit(receiver, { PORT: String(await freePort()) }) })
  await waitForTurn(receiver, 'READY')
  await supervisor.waitUntilReady()
  return { supervisor, swap }
}
