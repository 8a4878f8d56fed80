// Messages to systemd on their way: systemd's own systemd-notify, and a real datagram socket at the other end.

import { readdirSync, readFileSync } from 'node:fs'
import t, { type Test } from 'tap'
import { NotifySender } from '../../src/manager/notify-sender.js'
import { connectToSystemd, watchdogInterval } from '../../src/manager/systemd.js'
import { uninstrumentChildren } from '../support/clean-children.js'
import { eventually } from '../support/deadline.js'
import { notifyReceiver, PYTHON } from '../support/notify-receiver.js'
import { needsPackage } from '../support/tools.js'

uninstrumentChildren()

const needsNotify = {
  ...needsPackage('python3', PYTHON),
  ...needsPackage('systemd', '/usr/bin/systemd-notify'),
}
const PATH = process.env.PATH ?? ''

const sender = (t: Test, socket: string, path = PATH) => {
  const warnings: string[] = []
  const made = new NotifySender({ socket, path, warn: (text) => warnings.push(text) })
  t.teardown(() => made.end(0))
  return { sender: made, warnings }
}

/** Processes of systemd-notify that this test has started and that live. */
const notifiers = (): number[] =>
  readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        const [, rest = ''] = readFileSync(`/proc/${pid}/stat`, 'utf8').split('(systemd-notify) ')
        return Number(rest.split(' ')[1]) === process.pid && rest[0] !== 'Z'
      } catch {
        return false
      }
    })

t.test('messages', needsNotify, async (t) => {
  for (const isAbstract of [false, true]) {
    t.test(`arrive in their order, at ${isAbstract ? 'an abstract name' : 'a path'}`, async (t) => {
      const receiver = await notifyReceiver(t, { isAbstract })
      const { sender: notify, warnings } = sender(t, receiver.socket)
      for (const name of ['READY', 'RELOADING', 'READY', 'RELOADING', 'READY', 'STOPPING'])
        notify.say({ [name]: '1', STATUS: name })
      await notify.end(10_000)
      t.same(receiver.turns(), ['READY', 'RELOADING', 'READY', 'RELOADING', 'READY', 'STOPPING'])
      t.same(warnings, [])
    })
  }

  t.test('what only tells how things are goes with what has not been sent yet', async (t) => {
    const receiver = await notifyReceiver(t)
    const { sender: notify } = sender(t, receiver.socket)
    notify.say({ READY: '1' })
    for (let n = 1; n <= 50; n++) notify.say({ STATUS: `${n} = $HOME\`"'`, WATCHDOG: '1' })
    await notify.end(10_000)
    t.same(
      receiver.received.map(({ variables }) => variables),
      [{ READY: '1' }, { STATUS: '50 = $HOME`"\'', WATCHDOG: '1' }],
    )
  })

  t.test('are sent again where a signal to the whole group has ended systemd-notify', async (t) => {
    const receiver = await notifyReceiver(t)
    receiver.signal('SIGSTOP')
    const { sender: notify, warnings } = sender(t, receiver.socket)
    notify.say({ READY: '1' })
    const [pid = 0] = await eventually(notifiers, ({ length }) => length > 0, { what: 'systemd-notify' })
    process.kill(pid, 'SIGTERM')
    await eventually(notifiers, ([next]) => next !== undefined && next !== pid, { what: 'another one' })
    receiver.signal('SIGCONT')
    notify.say({ STOPPING: '1' })
    await notify.end(10_000)
    t.same([...new Set(receiver.turns())], ['READY', 'STOPPING'])
    t.same(warnings, [])
  })

  t.test('to a systemd that does not read cost nobody time, and leave no process', async (t) => {
    const receiver = await notifyReceiver(t)
    receiver.signal('SIGSTOP')
    t.teardown(() => receiver.signal('SIGCONT'))
    const { sender: notify } = sender(t, receiver.socket)
    for (let n = 0; n < 100; n++) notify.say({ RELOADING: '1' })
    await eventually(notifiers, ({ length }) => length > 0, { what: 'systemd-notify' })
    const begunAt = performance.now()
    await notify.end(200)
    t.ok(performance.now() - begunAt < 1_000)
    await eventually(notifiers, ({ length }) => length === 0, { what: 'no systemd-notify to be left' })
    notify.say({ STOPPING: '1' })
    t.same(notifiers(), [], 'nothing is sent after the end')
  })

  t.test('that cannot be sent are complained of once', async (t) => {
    for (const [socket, path, says] of [
      ['/nowhere/at/all', PATH, /^systemd cannot be told how this service is: .*No such file/],
      [`/${'long/'.repeat(60)}`, PATH, /^systemd cannot be told how this service is: \S/],
      ['not a socket', PATH, /^systemd cannot be told how this service is: \S/],
      ['/nowhere', '/nowhere', /there is no systemd-notify on the PATH; install it/],
    ] as const) {
      const { sender: notify, warnings } = sender(t, socket, path)
      for (let n = 0; n < 3; n++) notify.say({ READY: '1' })
      await notify.end(10_000)
      t.equal(warnings.length, 1, socket)
      t.match(warnings[0], says)
    }
  })

  t.test('signs of life come twice in the time that systemd waits, while commands are decided', async (t) => {
    const receiver = await notifyReceiver(t)
    let answers = true
    const systemd = connectToSystemd((text) => t.fail(text), {
      PATH,
      NOTIFY_SOCKET: receiver.socket,
      WATCHDOG_USEC: '400000',
      WATCHDOG_PID: String(process.pid),
    })
    t.teardown(() => systemd.end())
    const census = () => ({ generation: 1, wanted: 1, ready: 1, live: 1 })
    systemd.watch({ census, answers: () => answers })
    const signs = () => receiver.received.filter(({ variables }) => variables.WATCHDOG === '1')
    await eventually(signs, ({ length }) => length >= 6, { what: 'six signs of life' })
    const gaps = signs().map(({ at }, n) => at - (signs()[n - 1]?.at ?? at - 200_000))
    t.ok(Math.max(...gaps) < 400_000, String(gaps))
    answers = false
    systemd.moved('running')
    await receiver.waitFor(({ variables }) => variables.READY === '1', 'READY')
    const before = signs().length
    // So long that three more would have come.
    const since = performance.now()
    await eventually(
      () => performance.now() - since,
      (ms) => ms > 700,
      { what: 'time to pass' },
    )
    t.ok(signs().length <= before + 1)
  })
})

t.test('what the environment says of a watchdog is believed only when it makes sense', async (t) => {
  const cases: [environment: NodeJS.ProcessEnv, interval: number | null, warning: RegExp | null][] = [
    [{}, null, null],
    [{ WATCHDOG_USEC: '' }, null, null],
    [{ WATCHDOG_USEC: '3000000', NOTIFY_SOCKET: '/x' }, 1_500, null],
    [{ WATCHDOG_USEC: '3000000', NOTIFY_SOCKET: '/x', WATCHDOG_PID: '7' }, 1_500, null],
    [
      { WATCHDOG_USEC: '3000000', NOTIFY_SOCKET: '/x', WATCHDOG_PID: '8' },
      null,
      /waits for process 8, and this is 7/,
    ],
    [{ WATCHDOG_USEC: '3000000' }, null, /gives no NOTIFY_SOCKET/],
    [{ WATCHDOG_USEC: 'abc', NOTIFY_SOCKET: '/x' }, null, /WATCHDOG_USEC is "abc"/],
    [{ WATCHDOG_USEC: '0', NOTIFY_SOCKET: '/x' }, null, /no number of microseconds/],
    [{ WATCHDOG_USEC: '-1', NOTIFY_SOCKET: '/x' }, null, /no number of microseconds/],
    [{ WATCHDOG_USEC: '1', NOTIFY_SOCKET: '/x' }, 1, null],
    [{ WATCHDOG_USEC: '9'.repeat(18), NOTIFY_SOCKET: '/x' }, 2 ** 31 - 1, null],
  ]
  for (const [environment, interval, warning] of cases) {
    const warnings: string[] = []
    t.equal(
      watchdogInterval(environment, (text) => warnings.push(text), 7),
      interval,
      JSON.stringify(environment),
    )
    if (warning === null) t.same(warnings, [])
    else t.match(warnings, [warning])
  }
})

t.test('without NOTIFY_SOCKET nothing is said', async (t) => {
  const systemd = connectToSystemd((text) => t.fail(text), {})
  systemd.starting(1)
  systemd.moved('running')
  await systemd.end()
})
