// Two services that by accident have one identity, each for an upstream of its own: one of them is open at a time, the
// other says why it is not, and is open as soon as the first is gone. Whatever starts them, and with what locks.

import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { uninstrumentChildren } from '../support/clean-children.js'
import { ExclusiveUpstream } from '../support/exclusive-upstream.js'
import { judgeConnections } from '../support/judge-exclusive.js'
import { IDENTITY, SenderWorld } from '../support/sender-world.js'

uninstrumentChildren()

const WITHIN = 1_000
const RECORD_ALONE = { FORKSAFE_NO_KERNEL_LOCK: '1' }

interface Side {
  /** null: a plain script. */
  workers: number | null
  hasNoKernelLock?: boolean
}

const pairs: [title: string, first: Side, second: Side][] = [
  ['two supervisors', { workers: 2 }, { workers: 2 }],
  [
    'a script, and a supervisor without a kernel lock',
    { workers: null },
    { workers: 1, hasNoKernelLock: true },
  ],
  [
    'a supervisor without a kernel lock, and a script',
    { workers: 1, hasNoKernelLock: true },
    { workers: null },
  ],
  ['two scripts', { workers: null }, { workers: null }],
  [
    'two scripts without a kernel lock',
    { workers: null, hasNoKernelLock: true },
    { workers: null, hasNoKernelLock: true },
  ],
]

for (const [title, first, second] of pairs) {
  t.test(title, async (t) => {
    const world = await SenderWorld.open(t)
    const folder = join(world.folder, 'other')
    mkdirSync(folder)
    const other = await ExclusiveUpstream.start(folder)
    t.teardown(() => other.stop())
    const start = ({ workers, hasNoKernelLock = false }: Side, name: string, upstream: ExclusiveUpstream) =>
      world.start(t, { workers, name, upstream, every: 50, env: hasNoKernelLock ? RECORD_ALONE : {} })

    const holder = start(first, 'mine', world.upstream)
    await world.upstream.until(() => world.upstream.open(IDENTITY).length === 1, 'the first to be open')
    const waiter = start(second, 'theirs', other)
    const [, warning = ''] = await waiter.waitForLine(/\[FORKSAFE_WARN_IDENTITY\] ForksafeWarning: (.*)/)
    const [mine, theirs] = [world.upstream, other].map((upstream) => new URL(upstream.url('')).origin)
    const who = first.workers === null ? 'process \\d+' : 'supervisor mine \\(pid \\d+\\)'
    t.match(
      warning,
      new RegExp(
        `client "feed": its identity "feed" is held by ${who} for ${mine}, and this client is for ${theirs}: two services share one identity; give one of them another identity`,
      ),
    )
    t.same([world.upstream.open(IDENTITY).length, other.open(IDENTITY).length], [1, 0])

    await holder.end()
    await other.until(() => other.open(IDENTITY).length === 1, 'the second to be open')
    const gone = world.upstream.log().findLast(({ type }) => type === 'gone' || type === 'handshake')
    const took = (other.open(IDENTITY)[0]?.openedAt ?? Number.NaN) - (gone?.at ?? 0)
    t.ok(took < WITHIN, `the second was open after ${took.toFixed(1)} ms`)
    await waiter.end()

    const warnings = waiter.lines.filter((line) => line.includes('FORKSAFE_WARN_IDENTITY'))
    t.ok(warnings.length <= (second.workers ?? 1), 'each process says it once')
    t.notMatch(holder.lines.join('\n'), /FORKSAFE_WARN_IDENTITY/, 'processes of one service are no strangers')
    // Connections of the one are numbered apart from those of the other.
    const apart = other
      .log()
      .map((event) => ('connection' in event ? { ...event, connection: -event.connection } : event))
    const events = [...world.upstream.log(), ...apart].sort((a, b) => a.at - b.at)
    t.same(judgeConnections(events).overlaps, [])
  })
}
