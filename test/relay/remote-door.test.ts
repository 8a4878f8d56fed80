// The door to an owner in another process, which is killed, stopped, restarted or leaves. Whoever waits at the door is
// answered within its bound, and what was answered with "accepted" was accepted.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import t, { type Test } from 'tap'
import type { AppendOutcome } from '../../src/relay/messages.js'
import { RemoteDoor } from '../../src/relay/remote-door.js'
import { cleanEnv, uninstrumentChildren } from '../support/clean-children.js'
import { eventually, withDeadline } from '../support/deadline.js'
import { newMessage } from '../support/memory-spool.js'
import { settingsIn, shortFolder, upstreamAt } from '../support/relay-parts.js'

uninstrumentChildren()

const FIXTURE = resolve('test/relay/fixtures/owns-a-spool.js')

class Worker {
  readonly lines: string[] = []
  readonly child: ChildProcess

  constructor(t: Test, folder: string, deskPath: string) {
    const settings = settingsIn(folder, [upstreamAt('ws://127.0.0.1:9')])
    this.child = spawn(process.execPath, [FIXTURE], {
      stdio: ['pipe', 'pipe', 'inherit'],
      env: cleanEnv({ FORKSAFE_HOME: join(folder, 'run'), RELAY: JSON.stringify({ settings, deskPath }) }),
    })
    this.child.stdin?.on('error', () => {})
    if (this.child.stdout !== null)
      createInterface({ input: this.child.stdout }).on('line', (line) => void this.lines.push(line))
    t.teardown(async () => {
      if (this.child.exitCode !== null || this.child.signalCode !== null) return
      const gone = once(this.child, 'exit')
      this.child.kill('SIGKILL')
      await gone
    })
  }

  async says(line: string): Promise<void> {
    await eventually(
      () => this.lines,
      (lines) => lines.includes(line),
      { what: `a worker to say ${line}` },
    )
  }
}

const world = (t: Test, ownerTimeout = 10_000) => {
  const folder = shortFolder(t)
  const deskPath = join(folder, 'desk.sock')
  const door = new RemoteDoor({ deskPath, ownerTimeout, clients: ['feed'] })
  t.teardown(() => door.close())
  const spooled = (): string[] =>
    readFileSync(join(folder, 'spool', 'feed', 'ids'), 'utf8')
      .trim()
      .split('\n')
  return { door, spooled, worker: () => new Worker(t, folder, deskPath) }
}

const kindsOf = (outcomes: readonly AppendOutcome[]): string[] => [
  ...new Set(outcomes.map(({ outcome }) => outcome)),
]

/** Fifty callers that append one message after the other, until they are told to stop. */
const callers = (door: RemoteDoor) => {
  const accepted: string[] = []
  const others: AppendOutcome[] = []
  let isOver = false
  const run = async (): Promise<void> => {
    while (!isOver) {
      const message = newMessage('x'.repeat(256))
      const [outcome] = await door.append('feed', [message])
      if (outcome?.outcome === 'accepted' || outcome?.outcome === 'duplicate') accepted.push(message.id)
      else if (outcome !== undefined) others.push(outcome)
    }
  }
  const all = Promise.all(Array.from({ length: 50 }, run))
  return {
    accepted,
    others,
    more: async (count: number) => {
      const wanted = accepted.length + count
      await eventually(
        () => accepted.length,
        (seen) => seen >= wanted,
        { what: `${count} more to be accepted` },
      )
    },
    end: async () => {
      isOver = true
      await withDeadline(all, { what: 'all callers to be answered' })
    },
  }
}

t.test('an owner that is killed: the next one takes what waits, and nobody is refused', async (t) => {
  const { door, spooled, worker } = world(t)
  const first = worker()
  await first.says('owner')
  const second = worker()
  await second.says('standing')
  const calls = callers(door)
  await calls.more(200)
  first.child.kill('SIGKILL')
  await second.says('owner')
  await calls.more(200)
  await calls.end()
  t.same(calls.others, [])
  const ids = spooled()
  t.same(
    calls.accepted.filter((id) => !ids.includes(id)),
    [],
    'what was accepted is there',
  )
  t.equal(new Set(ids).size, ids.length, 'nothing twice')
})

t.test('an owner that leaves: the next one takes what waits, and nobody is refused', async (t) => {
  const { door, spooled, worker } = world(t)
  const first = worker()
  await first.says('owner')
  const second = worker()
  await second.says('standing')
  const calls = callers(door)
  await calls.more(200)
  first.child.stdin?.write('stop\n')
  await first.says('stopped')
  await second.says('owner')
  await calls.more(200)
  await calls.end()
  t.same(calls.others, [])
  const ids = spooled()
  t.same(
    calls.accepted.filter((id) => !ids.includes(id)),
    [],
  )
})

t.test('an owner that is restarted with a pause in between is waited for', async (t) => {
  const { door, worker } = world(t)
  const first = worker()
  await first.says('owner')
  t.same(kindsOf(await door.append('feed', [newMessage('a')])), ['accepted'])
  const gone = once(first.child, 'exit')
  first.child.kill('SIGKILL')
  await gone
  const waiting = door.append('feed', [newMessage('b'), newMessage('c')])
  await worker().says('owner')
  t.same(kindsOf(await withDeadline(waiting, { what: 'the answer' })), ['accepted'])
})

t.test(
  'an owner that is stopped: refused when the time is over, and the same id is good afterwards',
  async (t) => {
    const { door, spooled, worker } = world(t, 300)
    const owner = worker()
    await owner.says('owner')
    t.same(kindsOf(await door.append('feed', [newMessage('a')])), ['accepted'])
    owner.child.kill('SIGSTOP')
    const message = newMessage('b')
    const begun = performance.now()
    const outcomes = await withDeadline(door.append('feed', [message]), { what: 'the refusal' })
    t.match(outcomes, [
      { outcome: 'refused', refusal: { code: 'FORKSAFE_ERR_RELAY_UNAVAILABLE', retryAfter: Number } },
    ])
    t.ok(performance.now() - begun < 3_000)
    owner.child.kill('SIGCONT')
    await eventually(
      async () => kindsOf(await door.append('feed', [message])),
      ([kind]) => kind === 'accepted' || kind === 'duplicate',
      { what: 'it to be taken after all' },
    )
    t.equal(spooled().filter((id) => id === message.id).length, 1)
  },
)

t.test('what waits is bounded in bytes, and in time', async (t) => {
  const folder = shortFolder(t)
  const deskPath = join(folder, 'desk.sock')
  const mute = createServer()
  mute.listen(deskPath)
  await once(mute, 'listening')
  const door = new RemoteDoor({ deskPath, ownerTimeout: 200, clients: ['feed'], maxBytes: 100_000 })
  t.teardown(() => {
    door.close()
    mute.close()
  })
  const large = 'x'.repeat(60_000)
  const begun = performance.now()
  const [first, second] = await Promise.all([
    door.append('feed', [newMessage(large)]),
    door.append('feed', [newMessage(large)]),
  ])
  t.match(
    [...first, ...second],
    [
      { outcome: 'refused', refusal: { message: /in time/ } },
      { outcome: 'refused', refusal: { message: /too much waits/ } },
    ],
  )
  t.ok(performance.now() - begun < 3_000)
  await t.rejects(door.fate('feed', 'x'), { code: 'FORKSAFE_ERR_RELAY_UNAVAILABLE' })
  t.match(await door.append('nobody', [newMessage('x')]), [{ outcome: 'refused' }])
  const waiting = door.append('feed', [newMessage('x')])
  door.close()
  t.match(await waiting, [{ outcome: 'refused', refusal: { message: /stopping/ } }])
})
