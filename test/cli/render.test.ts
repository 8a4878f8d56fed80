import picocolors from 'picocolors'
import t from 'tap'
import { formatMemory, formatPercent, formatSeconds, formatUptime } from '../../src/cli/render/figures.js'
import { LiveWorkers } from '../../src/cli/render/live-workers.js'
import { renderLogLine } from '../../src/cli/render/log-line.js'
import { showOperation } from '../../src/cli/render/operation.js'
import { progressLine } from '../../src/cli/render/progress-line.js'
import { renderStatus } from '../../src/cli/render/status.js'
import { renderTable } from '../../src/cli/render/table.js'
import { Screen, type Terminal } from '../../src/cli/screen.js'
import { printable } from '../../src/shared/printable.js'
import type { Progress } from '../../src/shared/progress.js'
import type { ClientReport } from '../../src/shared/resources.js'
import type { SupervisorStatus, WorkerStatus } from '../../src/shared/status.js'

const plain = picocolors.createColors(false)
const coloured = picocolors.createColors(true)

const terminal = (look: Partial<Terminal> = {}) => {
  const written: string[] = []
  const listeners: ((error: Error) => void)[] = []
  const stream: Terminal = {
    write: (text) => written.push(text),
    on: (_event, listener) => listeners.push(listener),
    ...look,
  }
  return {
    stream,
    text: () => written.join(''),
    fail: () => listeners.forEach((listen) => void listen(new Error('EPIPE'))),
  }
}

const worker = (slot: number, over: Partial<WorkerStatus> = {}): WorkerStatus => ({
  slot,
  role: 'app',
  id: slot + 1,
  pid: 100 + slot,
  state: 'ready',
  generation: 3,
  restarts: 0,
  lastExit: null,
  nextStartAt: null,
  overLimit: null,
  uptimeMs: 65_000,
  rssBytes: 52 * 1024 * 1024,
  cpuPercent: 1.26,
  eventLoopDelayMs: 0.2,
  clients: [],
  connectsInRequests: [],
  ...over,
})

const feed = {
  name: 'feed',
  identity: 'feed',
  state: 'open',
  role: 'own',
  epoch: 1,
  pending: 0,
  confirmed: 0,
  reconnects: 0,
} as const

const status: SupervisorStatus = {
  name: 'api',
  pid: 99,
  state: 'running',
  generation: 3,
  script: '/srv/a\x1b.js',
  startedAt: 0,
  health: null,
  relay: null,
  logs: { dropped: 0, level: 'info', file: null },
  workers: [
    worker(0, { clients: [feed, { ...feed, name: 'bot', role: 'standby', state: 'idle', pending: 3 }] }),
    worker(10, {
      pid: null,
      state: 'waiting',
      restarts: 12,
      nextStartAt: 91_500,
      rssBytes: null,
      cpuPercent: null,
      lastExit: { code: 1, signal: null, reason: 'exited with code 1: \x1b[31mboom', at: 88_000 },
    }),
  ],
}

t.test('a status is a headline, a table that lines up, and how workers ended', async (t) => {
  t.same(renderStatus(status, { colors: plain, now: 90_000 }).split('\n'), [
    'api  running  generation 3  pid 99  up 1m 30s  /srv/a\\x1b.js',
    '',
    'slot  pid  state           gen  uptime  restarts   cpu   memory  clients',
    '   0  100  ready             3   1m 5s         0  1.3%  52.0 MB  feed open, bot idle (3 pending)',
    '  10    -  waiting 1.50 s    3       -        12     -        -',
    '',
    'slot 10 last: exited with code 1: \\x1b[31mboom (2s ago)',
    '',
  ])
})

t.test('of what is exclusive a status says who has it, and for whom the others wait', async (t) => {
  const since = 1_795_576_053_000
  const ours = { pid: 123, supervisor: 'api', slot: 0, epoch: 7, since, origin: null, isOurs: true } as const
  const theirs = { ...ours, pid: 9, supervisor: 'b\x1b', isOurs: false } as const
  const standby = { ...feed, role: 'standby', state: 'waiting', epoch: 7 } as const
  const task = { ...feed, kind: 'task', name: 'ticker' } as const
  const shown = (client: ClientReport): string => {
    const one = { ...status, workers: [worker(0, { clients: [client] })] }
    return renderStatus(one, { colors: plain, now: 90_000 }).split('\n')[3]?.split(' MB  ')[1] ?? ''
  }
  const cases: [ClientReport, string][] = [
    [{ ...feed, role: 'holder', epoch: 1_795_576_053, owner: null }, 'feed open, holder 1795576053'],
    [{ ...feed, role: 'holder', state: 'connecting', epoch: 7 }, 'feed connecting, holder 7'],
    [{ ...standby, owner: ours }, 'feed standby for slot 0 (pid 123)'],
    [{ ...standby, owner: theirs, pending: 2 }, 'feed standby for supervisor b\\x1b (pid 9) (2 pending)'],
    [{ ...standby, owner: { ...theirs, supervisor: null, slot: null } }, 'feed standby for pid 9'],
    [{ ...standby, owner: null }, 'feed standby'],
    [{ ...standby, state: 'draining', owner: ours }, 'feed draining, standby for slot 0 (pid 123)'],
    [{ ...task, role: 'holder', state: 'running' }, 'ticker (work) running'],
    [
      { ...task, role: 'standby', state: 'waiting', owner: ours },
      'ticker (work) standby for slot 0 (pid 123)',
    ],
  ]
  for (const [client, text] of cases) t.equal(shown(client), text)
})

t.test('colour changes nothing but colour', async (t) => {
  const text = renderStatus(status, { colors: coloured, now: 90_000 })
  t.match(text, '\x1b[32mready')
  const esc = String.fromCharCode(27)
  t.equal(
    text.replace(new RegExp(`${esc}\\[\\d+m`, 'g'), ''),
    renderStatus(status, { colors: plain, now: 90_000 }),
  )
})

t.test('tables pad by text and not by colour', async (t) => {
  const red = (text: string): string => `<${text}>`
  const rows = [
    [{ text: 'a', paint: red }, { text: 'b' }],
    [{ text: 'long' }, { text: '1', isRight: true }],
  ]
  t.same(renderTable(rows), ['<a>     b', 'long  1'])
  t.same(renderTable([]), [])
})

t.test('figures are short', async (t) => {
  t.same([0, 59_999, 61_000, 3_600_000, 90_000_000, -5].map(formatUptime), [
    '0s',
    '59s',
    '1m 1s',
    '1h 0m',
    '1d 1h',
    '0s',
  ])
  t.same([210, 12_340].map(formatSeconds), ['0.21 s', '12.3 s'])
  t.same([null, 1024 ** 2 * 1.5, 1024 ** 3 * 1.25].map(formatMemory), ['-', '1.5 MB', '1.25 GB'])
  t.same([null, 0.14].map(formatPercent), ['-', '0.1%'])
})

t.test('log lines say who wrote them and hold no control characters', async (t) => {
  const line = {
    at: 1,
    source: 'worker',
    stream: 'stdout',
    slot: 1,
    pid: 5,
    generation: 1,
    text: 'a\x1b[2Jb\r',
  } as const
  t.equal(renderLogLine(line, plain), '[1:5 g1] a\\x1b[2Jb\\r')
  const own = { at: 1, source: 'supervisor', stream: 'stderr', level: 'warn', text: 'x' } as const
  t.equal(renderLogLine(own, plain), '[supervisor] warn: x')
  t.equal(renderLogLine({ ...own, level: 'info' }, plain), '[supervisor] x')
})

const ref = { slot: 0, pid: 5, generation: 2 }
const EVENTS: Progress[] = [
  { event: 'reloading', generation: 2, slots: [0] },
  { event: 'workerStarting', ...ref },
  { event: 'workerReady', by: 'listening', ms: 210, ...ref },
  { event: 'workerDraining', reason: 'reload', slot: 0, pid: 4, generation: 1 },
  {
    event: 'workerExited',
    code: 0,
    signal: null,
    reason: 'drained',
    expected: true,
    slot: 0,
    pid: 4,
    generation: 1,
  },
  { event: 'workerExited', code: 1, signal: null, reason: 'boom\x1b', expected: false, ...ref },
  { event: 'workerWaiting', slot: 0, ms: 250, reason: 'boom', crashes: 2 },
  { event: 'stopping', reason: 'asked', delay: 0, budget: 25_000 },
]

t.test('events are plain lines that stand under each other', async (t) => {
  t.same(EVENTS.map(progressLine), [
    'rolling restart of 1 worker to generation 2',
    'worker 0  starting  pid 5  generation 2',
    'worker 0  ready     pid 5  generation 2  0.21 s',
    'worker 0  draining  pid 4  generation 1  for reload',
    'worker 0  gone      pid 4  generation 1  drained',
    'worker 0  died      pid 5  generation 2  boom\\x1b',
    'worker 0  waiting   0.25 s  boom',
    'stopping within 25s',
  ])
  const unknown: Progress = JSON.parse('{"event":"somethingNewer"}')
  t.equal(progressLine(unknown), null, 'what a newer supervisor tells is left out')
})

t.test('live lines show one line a slot, the newest worker first', async (t) => {
  const live = new LiveWorkers(plain)
  const after = EVENTS.map((event) => {
    live.apply(event)
    return live.lines(80)
  })
  t.same(after, [
    [],
    ['worker 0  starting  pid 5  generation 2'],
    ['worker 0  ready     pid 5  generation 2  0.21 s'],
    ['worker 0  ready     pid 5  generation 2  0.21 s  (pid 4 draining)'],
    ['worker 0  ready     pid 5  generation 2  0.21 s'],
    ['worker 0  died      pid 5  generation 2  boom\\x1b'],
    ['worker 0  waiting   0.25 s: boom'],
    ['worker 0  waiting   0.25 s: boom'],
  ])
})

t.test('live lines never wrap', async (t) => {
  const live = new LiveWorkers(plain)
  live.apply({
    event: 'workerExited',
    code: 1,
    signal: null,
    reason: 'x'.repeat(500),
    expected: false,
    ...ref,
  })
  for (const columns of [20, 40, 80]) t.ok((live.lines(columns)[0] ?? '').length < columns, String(columns))
})

const result = { ok: true, exitCode: 0, message: '1 worker runs generation 2', generation: 2, failures: [] }
const operation = (tell: (progress: Progress) => void) => {
  for (const event of EVENTS.slice(0, 5)) tell(event)
  return Promise.resolve(result)
}

t.test('on a terminal lines are redrawn in place, elsewhere they follow each other', async (t) => {
  const tty = terminal({ isTTY: true, columns: 80, rows: 24 })
  t.equal(
    await showOperation({ screen: new Screen(tty.stream, terminal().stream, {}), isJson: false }, operation),
    0,
  )
  t.equal(tty.text().split('\x1b[1A').length, 4, 'one line, drawn four times')
  t.match(tty.text(), '\x1b[32m1 worker runs generation 2')
  const pipe = terminal()
  await showOperation({ screen: new Screen(pipe.stream, terminal().stream, {}), isJson: false }, operation)
  t.equal(pipe.text(), printable(pipe.text()).replaceAll('\\n', '\n'), 'no control characters in a pipe')
  t.equal(pipe.text().split('\n').length, 7)
  const low = terminal({ isTTY: true, columns: 80, rows: 1 })
  await showOperation({ screen: new Screen(low.stream, terminal().stream, {}), isJson: false }, operation)
  t.notMatch(low.text(), '\x1b[1A', 'more slots than lines are not redrawn')
})

t.test('for programs each event is an object and the result the last one', async (t) => {
  const pipe = terminal()
  await showOperation({ screen: new Screen(pipe.stream, terminal().stream, {}), isJson: true }, operation)
  const lines = pipe
    .text()
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
  t.same(lines, [...EVENTS.slice(0, 5), { event: 'result', ...result }])
})

t.test('a failure is one line on stderr and a line for each worker', async (t) => {
  const [out, err] = [terminal(), terminal()]
  const failures = [
    { slot: 0, pid: 5, reason: 'not ready\nwithin 1s' },
    { slot: 1, pid: null, reason: 'never started' },
  ]
  const failed = { ok: false, exitCode: 5, message: 'rolled\nback', generation: 1, failures }
  const screen = new Screen(out.stream, err.stream, {})
  t.equal(await showOperation({ screen, isJson: false }, async () => failed), 5)
  t.equal(out.text(), '')
  t.equal(
    err.text(),
    'supervisor: rolled\\nback\n  worker 0  pid 5  not ready\\nwithin 1s\n  worker 1  never started\n',
  )
})

t.test('colour is for terminals, and not with NO_COLOR', async (t) => {
  const isColoured = (look: Partial<Terminal>, env: NodeJS.ProcessEnv): boolean =>
    new Screen(terminal(look).stream, terminal().stream, env).colors.isColorSupported
  t.equal(isColoured({ isTTY: true }, {}), true)
  t.equal(isColoured({ isTTY: true }, { NO_COLOR: '1' }), false)
  t.equal(isColoured({ isTTY: true }, { TERM: 'dumb' }), false)
  t.equal(isColoured({}, { FORCE_COLOR: '1' }), false)
})

t.test('nothing is written to a reader that is gone', async (t) => {
  const out = terminal()
  const screen = new Screen(out.stream, terminal().stream, {})
  screen.line('one')
  out.fail()
  screen.line('two')
  t.equal(out.text(), 'one\n')
  t.equal(screen.closed.aborted, true)
})
