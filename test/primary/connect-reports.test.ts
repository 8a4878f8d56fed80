// Lines of the log about dials within requests: what they say, and that no worker can fill the log with them.

import t from 'tap'
import { ConnectReports } from '../../src/primary/connect-reports.js'
import type { ConnectInRequest } from '../../src/shared/connect-in-request.js'

const worker = { slot: 2, pid: 77, generation: 1 }
const report: ConnectInRequest = {
  at: 'app.js:8:14',
  url: 'ws://127.0.0.1:1/feed',
  request: 'GET /orders',
  count: 1,
  stack: 'at dial (lib.js:1:2)\nat app.js:8:14',
  mode: 'warn',
}

const setUp = () => {
  const lines: [string, Record<string, unknown>][] = []
  return { lines, reports: new ConnectReports((text, fields) => void lines.push([text, { ...fields }])) }
}

t.test('a line names worker, target, request, place and what to do', async (t) => {
  const { lines, reports } = setUp()
  reports.came(5, worker, report)
  reports.came(5, worker, { ...report, at: null, stack: '', mode: 'throw' })
  t.same(lines, [
    [
      'worker 2 dialled ws://127.0.0.1:1/feed within a request, GET /orders at app.js:8:14: each request opens a connection of its own; make one client at module level and use it in every request (pid 77) (at dial (lib.js:1:2) < at app.js:8:14)',
      { event: 'connectInRequest', ...worker, ...report },
    ],
    [
      'worker 2 dialled ws://127.0.0.1:1/feed within a request, GET /orders: it was rejected; make one client at module level and use it in every request (pid 77)',
      { event: 'connectInRequest', ...worker, ...report, at: null, stack: '', mode: 'throw' },
    ],
  ])
})

t.test('a worker has 50 lines, each for itself', async (t) => {
  const { lines, reports } = setUp()
  for (let count = 0; count < 60; count++) reports.came(5, worker, report)
  t.equal(lines.length, 50)
  reports.came(6, worker, report)
  t.equal(lines.length, 51)
  reports.forget(5)
  reports.came(5, worker, report)
  t.equal(lines.length, 52)
})
