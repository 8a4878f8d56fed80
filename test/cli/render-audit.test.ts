// How an audit looks to people: within 80 columns, few lines for many sockets, what to do under what is wrong.

import picocolors from 'picocolors'
import t from 'tap'
import type { AuditReport } from '../../src/audit/audit-report.js'
import { renderAudit } from '../../src/cli/render/audit.js'
import { shortenMiddle, wrap } from '../../src/cli/render/wrap.js'
import {
  connections,
  facts,
  listener,
  member,
  members,
  origin,
  PRIMARY,
  reportOf,
  unixSocket,
  WORKER,
} from '../audit/audit-world.js'

const plain = picocolors.createColors(false)

const render = (report: AuditReport, over = {}): string =>
  renderAudit(report, { colors: plain, columns: 80, first: null, isVerbose: false, ...over })

const leaking = (count: number): AuditReport => {
  const held = connections(count)
  const host = 'a-rather-long-name-of-an-upstream.internal.example.com'
  return reportOf(
    facts(
      { [PRIMARY]: [listener(18, 8080), unixSocket(19)], [WORKER]: held },
      {
        members: members(member(WORKER, 'worker', [origin(held, { host })])),
        budgets: { [`${host}:443`]: 1 },
        trends: new Map([
          [
            `${host}:443`,
            [
              { at: 0, count: 1 },
              { at: 3_600_000, count: 13 },
            ],
          ],
        ]),
      },
    ),
  )
}

t.test('it says who holds what, what does not belong, and what to do', async (t) => {
  const lines = render(leaking(12)).split('\n')
  t.match(lines[0], /^api {2}3 processes {2}14 sockets {2}from \/proc at \d\d:\d\d:\d\d$/)
  const text = lines.join('\n')
  t.match(text, /^primary \(pid 9\)$/m)
  t.match(text, /^worker 0 \(pid 100, generation 2\)$/m)
  t.match(text, /at 0\.0\.0\.0:8080 +listen +18$/m)
  t.match(text, /to a-rather.*…?.*:443 +12 established +unguarded +5s +20 21 22 \+9$/m)
  t.match(text, /:443 +12 +0 +12 +1 +\+12 an hour$/m)
  t.match(text, /^2 problems$/m)
  t.match(text, /^ {2}unguardedPile$/m)
  t.match(text, /^ {2}→ open one when the module is loaded and protect\(\) it, /m)
  t.same(
    lines.filter((line) => line.length > 80),
    [],
  )
})

t.test('thousands of sockets take no more lines than a few', async (t) => {
  const few = render(leaking(12)).split('\n').length
  t.equal(render(leaking(5_000)).split('\n').length, few)
  const verbose = render(leaking(5_000), { isVerbose: true })
  t.ok(verbose.split('\n').length > 5_000, 'each by itself only where it is asked for')
})

t.test('a watch shows the change since the first look', async (t) => {
  const first = leaking(12)
  t.match(render(leaking(15), { first }), /:443 +15 \(\+3\)/)
  t.match(render(first, { first }), /:443 +12 \(=\)/)
})

t.test('where all belongs it says so', async (t) => {
  const text = render(reportOf(facts({ [PRIMARY]: [listener(18, 8080)] })))
  t.match(text, /\nnothing that does not belong\n$/)
  t.match(text, /\n {2}no sockets\n/)
})

t.test('of a process that says nothing the owner is not known, and shown so', async (t) => {
  const tree = members(member(200, 'descendant', null))
  const text = render(reportOf(facts({ 200: connections(2) }, { members: tree })))
  t.match(text, /^process 200 {2}node 200\.js$/m)
  t.match(text, /to 10\.0\.0\.7:443 +2 established +\? /)
  t.match(text, /^ {2}endpoint +open +guarded +unguarded +\? +budget +trend$/m)
})

t.test('a command that holds control characters does no harm', async (t) => {
  const tree = members(member(200, 'descendant', null))
  const report = reportOf(facts({ 200: connections(1) }, { members: tree }))
  const [first, ...rest] = report.processes.reverse()
  if (first === undefined) throw new Error('no process')
  const evil = { ...report, processes: [{ ...first, command: 'node \u001b[2Jx' }, ...rest] }
  t.notOk(render(evil).includes('\u001b'))
})

t.test('text is broken between words', async (t) => {
  t.same(wrap('one two three', 7), ['one two', 'three'])
  t.same(wrap('averylongword two', 5), ['averylongword', 'two'])
  t.equal(shortenMiddle('abcdefghij', 5), 'ab…ij')
  t.equal(shortenMiddle('abc', 5), 'abc')
})
