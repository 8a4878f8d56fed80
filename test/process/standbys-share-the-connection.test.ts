// Every worker can use an exclusive client, one of them has its connection: what a standby sends arrives once and in order,
// its receipt says the truth, and nothing that befalls the holder leaves a promise open.

import t from 'tap'
import { uninstrumentChildren } from '../support/clean-children.js'
import { eventually, withDeadline } from '../support/deadline.js'
import { killProcesses, peakMemory, processRow } from '../support/process-tree.js'
import { type Message, type Outcome, Shared, slotOf } from '../support/shared-client.js'

uninstrumentChildren()

const MIB = 1024 * 1024
/** What a standby can hand over as one message. */
const LARGEST = 8 * MIB
/** Node itself takes 60 MiB, an outbox 16, what is on its way a few: a leak takes hundreds in a second. */
const MEMORY_BOUND = 200 * MIB

t.test('a standby says whom it waits for, and what it sends has its receipts', async (t) => {
  const shared = await Shared.start(t, { options: { maxPending: { bytes: '32M' } } })
  const { upstream } = shared
  const { holder, standbys } = await shared.roles()
  const [client] = holder.clients
  t.match(client, { name: 'feed', identity: 'feed', state: 'open', role: 'holder', owner: null })
  t.ok((client?.epoch ?? 0) > 0)
  for (const standby of standbys)
    t.match(standby.clients[0], {
      ...{ state: 'waiting', role: 'standby', epoch: client?.epoch },
      owner: { pid: holder.pid, slot: holder.slot, epoch: client?.epoch, origin: upstream.url, isOurs: true },
    })

  const slot = slotOf(standbys[0])
  t.match(
    await shared.send(
      slot,
      ['a', {}],
      ['b', { level: 'written' }],
      ['c', { level: 'received' }],
      ['do work', { level: 'processed', id: 'work' }],
    ),
    [{ level: 'received' }, { level: 'written' }, { level: 'received' }, { level: 'processed' }],
  )
  t.same(upstream.got, ['a', 'b', 'c', 'do work'])
  t.match(await shared.send(slot, ['e', { level: 'processed' }]), [
    { code: 'FORKSAFE_ERR_CLIENT_MESSAGE_INVALID' },
  ])

  const bytes = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte))
  await shared.send(slot, [{ hex: bytes.toString('hex') }, {}])
  t.same(upstream.got.at(-1), bytes, 'bytes survive')

  const large = 'x'.repeat(LARGEST)
  const [tooLarge, largest, after] = await shared.send(slot, [`${large}y`, {}], [large, {}], ['after', {}])
  t.match(tooLarge, { code: 'FORKSAFE_ERR_CLIENT_NOT_SENT', message: /8388608 bytes in one message at most/ })
  t.match([largest, after], [{ level: 'received' }, { level: 'received' }])
  t.same([upstream.count(large), upstream.got.at(-1)], [1, 'after'])
})

t.test('what comes in goes to the holder alone, or with fanout to everybody, once', async (t) => {
  for (const fanout of [false, true]) {
    const shared = await Shared.start(t, { options: { fanout } })
    const { holder } = await shared.roles()
    const said = Array.from({ length: 50 }, (_, number) => `news ${number}`)
    for (const text of said) shared.upstream.say(text)
    const hearers = fanout ? [0, 1, 2] : [slotOf(holder)]
    await eventually(
      () => hearers.map((slot) => shared.incoming(slot).length),
      (counts) => counts.every((count) => count >= said.length),
      { what: 'all who shall hear it to have heard it' },
    )
    // A round trip behind it: what was to come has come.
    for (const slot of [0, 1, 2]) await shared.send(slot, ['end', {}])
    for (const slot of [0, 1, 2])
      t.same(shared.incoming(slot), hearers.includes(slot) ? said : [], `fanout ${fanout}, slot ${slot}`)
    await shared.supervisor.end()
  }
})

for (const onUnconfirmed of ['reject', 'resend'] as const) {
  t.test(`the holder is killed while standbys send: ${onUnconfirmed}`, async (t) => {
    const shared = await Shared.start(t, { options: { onUnconfirmed } })
    const { upstream } = shared
    const { holder, standbys } = await shared.roles()
    // In groups, so that the kill finds some on their way and some that wait.
    const groups = standbys.map(({ slot }) =>
      Array.from({ length: 40 }, (_, group) =>
        Array.from({ length: 25 }, (_, number): Message => [`${slot} ${group * 25 + number}`, {}]),
      ),
    )
    const asked = standbys.map(({ slot }, index) => shared.ask(slot, groups[index]))
    await upstream.received(300)
    const row = processRow(holder.pid ?? 0)
    const killedAt = Date.now()
    killProcesses(row === null ? [] : [row])
    const all = await withDeadline(Promise.all(asked), {
      what: 'every promise to be settled',
      timeout: 20_000,
    })
    standbys.forEach(({ slot }, index) => {
      const outcomes = all[index] ?? []
      t.equal(outcomes.length, 1_000)
      const count = (number: number): number => upstream.count(`${slot} ${number}`)
      const isConfirmed = ({ level }: Outcome): boolean => level === 'received'
      t.same(
        outcomes.flatMap((outcome, number) => (isConfirmed(outcome) && count(number) === 0 ? [number] : [])),
        [],
        'what is confirmed arrived',
      )
      const others = new Set(outcomes.filter((outcome) => !isConfirmed(outcome)).map(({ code }) => code))
      t.ok(
        [...others].every((code) => code === 'FORKSAFE_ERR_CLIENT_FATE_UNKNOWN'),
        [...others].join(),
      )
      if (onUnconfirmed === 'resend') t.equal(others.size, 0, 'all of them are confirmed')
      const doubled = outcomes.flatMap((outcome, number) => (count(number) > 1 ? [outcome] : []))
      t.ok(
        doubled.every(({ at }) => onUnconfirmed === 'resend' && at >= killedAt),
        `${doubled.length} came twice`,
      )
    })
  })
}

t.test(
  'what a standby bounds in time is settled in time, and what is said to be unsent does not arrive',
  async (t) => {
    const shared = await Shared.start(t)
    const { upstream } = shared
    const { standbys } = await shared.roles()
    const slot = slotOf(standbys[0])
    upstream.isAccepting = false
    upstream.reset()
    const begun = Date.now()
    const outcomes = await shared.send(
      slot,
      ['bounded', { timeout: 300 }],
      ['expiring', { expiresIn: 300 }],
      ['aborted', { abortAfter: 300 }],
    )
    t.ok(Math.max(...outcomes.map(({ at }) => at)) - begun < 2_000, 'in time')
    const codes = outcomes.map(({ code = 'none' }) => code.replace('FORKSAFE_ERR_CLIENT_', ''))
    t.match(codes[0], /^(SEND_TIMEOUT|FATE_UNKNOWN)$/)
    t.equal(codes[1], 'EXPIRED', 'the holder knows that it was not written')
    t.match(codes[2], /^(ABORTED|FATE_UNKNOWN)$/)
    upstream.isAccepting = true
    t.match(await shared.send(slot, ['after', {}]), [{ level: 'received' }])
    for (const [index, text] of ['bounded', 'expiring', 'aborted'].entries())
      t.ok(codes[index] === 'FATE_UNKNOWN' || upstream.count(text) === 0, `${text}: ${codes[index]}`)
    t.equal(upstream.count('expiring'), 0, 'what has expired is not written, whoever has it')
  },
)

t.test('memory is bounded when the upstream stops reading and everybody sends', async (t) => {
  const shared = await Shared.start(t, {
    workers: 4,
    options: { receiptTimeout: '60s', heartbeatTimeout: '60s' },
  })
  const { upstream, supervisor } = shared
  upstream.stopReading()
  for (const slot of [0, 1, 2, 3]) await shared.ask(slot, { bytes: 64 * 1024 })
  const { workers } = await supervisor.waitForStatus(
    ({ workers }) => workers.every(({ clients }) => (clients[0]?.pending ?? 0) >= 200),
    'every outbox to be full',
  )
  // A second of whatever would grow.
  await new Promise((resolve) => setTimeout(resolve, 1_000))
  for (const pid of [supervisor.pid, ...workers.map(({ pid }) => pid ?? 0)]) {
    const peak = peakMemory(pid)
    t.ok(
      peak < MEMORY_BOUND,
      `${pid === supervisor.pid ? 'primary' : 'worker'}: ${Math.round(peak / MIB)} MiB`,
    )
  }
  const before = upstream.got.length
  upstream.readAgain()
  await upstream.received(before + 500)
  t.pass('it goes on when it is read again')
})
