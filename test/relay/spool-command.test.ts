// supervisor spool against a desk with two clients whose upstream is down, and without one.

import { once } from 'node:events'
import { mkdirSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { guardedClient } from '../../src/client/index.js'
import { openDesk } from '../../src/relay/desk.js'
import { Owner } from '../../src/relay/owner.js'
import { relayDeskPath } from '../../src/shared/relay-desk.js'
import { MemorySpool, newMessage } from '../support/memory-spool.js'
import { settingsIn, shortFolder, upstreamAt } from '../support/relay-parts.js'
import { runCli } from '../support/run-cli.js'

let clients = 0

const world = async (t: Test) => {
  const home = join(shortFolder(t), 'run')
  mkdirSync(home, { mode: 0o700 })
  const spools: MemorySpool[] = []
  const to = ['feed', 'orders'].map((name) => upstreamAt('ws://127.0.0.1:9', { name }))
  const owner = await Owner.open({
    settings: settingsIn(home, to),
    createClient: (name, options) =>
      guardedClient(`${name} of a desk ${++clients}`, { ...options, exclusive: false }),
    openSpool: async () => {
      const spool = new MemorySpool()
      spools.push(spool)
      return spool
    },
    log: () => {},
  })
  const desk = await openDesk(relayDeskPath(home, 'relay'), owner)
  t.teardown(async () => {
    await desk.close({ timeout: 1_000 })
    await owner.abandon()
  })
  const [feed, orders] = spools
  if (feed === undefined || orders === undefined) throw new Error('there are not two spools')
  return { feed, orders, spool: (...args: string[]) => runCli(['spool', ...args], { home }) }
}

const park = async (spool: MemorySpool, text: string, id: string): Promise<void> => {
  const message = newMessage(text, { id })
  await spool.park({ ...message, seq: 1, acceptedAt: Date.now() }, 'the upstream closed with 1008')
}

t.test('ls shows each client, what waits, and what is parked', async (t) => {
  const { feed, orders, spool } = await world(t)
  await feed.append(newMessage('first \u001b[31m\nline', { id: 'f1' }))
  await feed.append(newMessage('y'.repeat(500), { id: 'f2' }))
  await park(orders, 'poison', 'o1')
  const all = await spool('ls')
  t.match(all, {
    code: 0,
    stdout: /client +connection +waiting.*\nfeed +dialling +2 .*\norders +dialling +0 .* 1 /,
  })
  const waiting = await spool('ls', '--client', 'feed')
  t.match(waiting.stdout, /feed: 2 waiting\n/)
  t.match(waiting.stdout, /f1 .* first \\x1b\[31m\\nline\n/, 'escaped, in a line')
  t.match(waiting.stdout, /f2 .* 500 +y{60}…\n/, 'cut')
  const [line] = (await spool('ls', '--client', 'feed', '--limit', '1')).stdout.split('\n')
  t.equal(line, 'feed: 2 waiting, the first 1 of them (--limit)')
  const parked = await spool('ls', '--parked')
  t.match(parked.stdout, /feed: nothing is parked\norders: 1 parked\n.*\no1 .*the upstream closed with 1008/)
  const rows = (await spool('ls', '--parked', '--json')).stdout
    .trim()
    .split('\n')
    .map((row) => JSON.parse(row))
  t.match(rows, [{ client: 'orders', id: 'o1', reason: /1008/, body: 'poison', isCut: false }])
})

t.test('show, retry and drop', async (t) => {
  const { feed, orders, spool } = await world(t)
  await feed.append(newMessage('hello', { id: 'f1', key: 'k' }))
  await park(orders, 'poison', 'o1')
  await park(orders, 'poison', 'o2')
  await park(orders, 'poison', 'o3')
  t.match(await spool('show', 'f1'), {
    code: 0,
    stdout: /client +feed\nid +f1\n[\s\S]*state +queued\n[\s\S]*body +hello\n/,
  })
  t.match(await spool('show', 'o1'), { code: 0, stdout: /reason +the upstream closed with 1008\n/ })
  t.match(await spool('show', 'none'), { code: 1, stderr: /no message with id none/ })
  t.match(await spool('retry', 'o1'), { code: 0, stdout: '1 message is back in the queue\n' })
  t.match(
    (await orders.list({ limit: 10 })).map(({ id }) => id),
    ['o1'],
  )
  t.match(await spool('retry', 'o1', 'o2'), {
    code: 1,
    stdout: /^1 message is/,
    stderr: /o1: it is not parked/,
  })
  t.match(await spool('drop', 'f1', 'o2'), { code: 0, stdout: '2 messages are dropped\n' })
  t.match(await feed.fate('f1'), { state: 'dropped' })
  t.match(await spool('drop', '--all', '--client', 'orders', '--json'), {
    code: 0,
    stdout: '{"done":["o3"],"failed":[]}\n',
  })
  t.same(await orders.parked(), [])
})

t.test('mistakes are told, and change nothing', async (t) => {
  const { spool } = await world(t)
  for (const [args, why] of [
    [['lst'], /"lst" is not known; write ls, show, retry, drop/],
    [['ls', 'x'], /takes no ids/],
    [['show'], /needs ids/],
    [['retry', 'x', '--all'], /either ids or --all/],
    [['ls', '--all'], /for retry and drop/],
    [['ls', '--client', 'nobody'], /none of its clients: feed, orders/],
    [['ls', '--parked', '--limit', '0'], /--limit/],
  ] as const)
    t.match(await spool(...args), { code: 2, stderr: why }, args.join(' '))
})

t.test('nobody there, and somebody who does not answer', async (t) => {
  const home = join(shortFolder(t), 'run')
  mkdirSync(home, { mode: 0o700 })
  for (const args of [
    ['retry', 'x'],
    ['drop', '--all'],
  ])
    t.match(await runCli(['spool', ...args], { home }), {
      code: 3,
      stderr: /no relay named relay is running/,
    })
  const mute = createServer()
  mute.listen(relayDeskPath(home, 'mute'))
  await once(mute, 'listening')
  t.teardown(() => mute.close())
  t.match(await runCli(['spool', 'ls', '--name', 'mute'], { home }), {
    code: 4,
    stderr: /did not answer within 5 s/,
  })
})
