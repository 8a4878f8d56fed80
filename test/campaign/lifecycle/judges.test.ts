// The judges of the lifecycle campaign find what they are there for, and excuse only what is excused.

import t from 'tap'
import type { RecordingUpstream } from '../../../examples/feed/upstream.js'
import type { Call, Fault } from './journal.js'
import { type CallsSeen, judgeCalls } from './judge-calls.js'
import { judgeConnections } from './judge-connections.js'
import { type EndSeen, judgeExit } from './judge-exit.js'
import type { ReleaseKind } from './plan.js'

const fault = (overrides: Partial<Fault> = {}): Fault => ({
  at: 100,
  until: 100,
  pid: 7,
  isPrimary: false,
  signal: 'SIGKILL',
  ...overrides,
})

const call = (args: string, code: number | null, overrides: Partial<Call> = {}): Call => ({
  args: args.split(' '),
  from: 1_000,
  to: 2_000,
  code,
  signal: null,
  stdout: '',
  stderr: '',
  ms: 1_000,
  ...overrides,
})

const judged = (one: Call, kinds: ReleaseKind[] = ['good'], overrides: Partial<CallsSeen> = {}): string[] =>
  judgeCalls({
    calls: [one],
    faults: [],
    endedAt: Number.POSITIVE_INFINITY,
    slowness: 1,
    kindsWithin: () => new Set(kinds),
    ...overrides,
  })

t.test('exit codes of commands', async (t) => {
  t.same(judged(call('reload', 0)), [])
  t.match(judged(call('reload', 5)), [/^reload ended with 5 and not 0/])
  t.same(judged(call('reload', 5), ['throwsAtBoot']), [])
  t.match(judged(call('reload', 0), ['throwsAtBoot']), [/^reload ended with 0 and not 5/])
  t.match(judged(call('reload', 0), ['exitsAfterReady']), [/and not 5/])
  t.same(judged(call('restart', 5), ['good', 'neverReady']), [])
  t.same(judged(call('reload', 5), ['good'], { faults: [fault({ at: 900, until: 900 })] }), [])
  t.match(judged(call('reload', 5), ['good'], { faults: [fault({ at: -900, until: -900 })] }), [/not 0/])
  t.match(judged(call('status', 3)), [/^status ended with 3 and not 0/])
  t.same(judged(call('status', 3), [], { endedAt: 1_500 }), [])
  t.match(judged(call('stop', 1)), [/^stop ended with 1 and not 0/])
  t.match(judged(call('stop --now', 0)), [/and not 1/])
  t.match(judged(call('logs', null, { signal: 'SIGSEGV' })), [/ended with SIGSEGV/])
})

t.test('bounds and stacks of commands', async (t) => {
  t.match(judged(call('status', 0, { ms: 6_001 })), [/took 6001 ms/])
  t.same(judged(call('status', 0, { ms: 6_001 }), ['good'], { slowness: 2 }), [])
  t.match(judged(call('reload', 0, { stderr: 'Error: x\n    at f (y.js:1)\n' })), [/printed a stack/])
})

const end = (overrides: Partial<EndSeen> = {}): string[] =>
  judgeExit({ exit: { code: 0, signal: null }, isForced: 'never', lines: [], faults: [], ...overrides })

t.test('ends of supervisors', async (t) => {
  const killing = [
    '{"event":"stopping","msg":"stopping (SIGTERM), within 3s"}',
    '{"event":"workerExited","msg":"worker 0 gone: killed: did not leave within its time (stop) (pid 7, generation 1)"}',
  ]
  const code = (number: number) => ({ exit: { code: number, signal: null } })
  t.same(end(), [])
  t.match(end(code(1)), [/ended with 1 and not 0$/])
  t.match(end({ ...code(1), lines: killing }), [/ended with 1 and not 0 \(it killed a worker\)$/])
  const stopped = [fault({ signal: 'SIGSTOP' })]
  t.same(end({ ...code(1), lines: killing, faults: stopped }), [])
  t.match(
    end({ ...code(1), lines: killing.toReversed(), faults: stopped }),
    [/and not 0$/],
    'killed long before',
  )
  t.match(end({ ...code(0), isForced: 'always' }), [/and not 1/])
  t.same(end({ ...code(1), isForced: 'maybe' }), [])
  t.match(end({ exit: { code: null, signal: 'SIGUSR2' } }), [/ended by SIGUSR2/])
  t.match(end({ lines: ['{"text":"uncaught error in the primary: x"}'] }), [/the supervisor said/])
})

type Connection = RecordingUpstream['connections'][number]

const connection = (id: number, overrides: Partial<Connection> = {}): Connection => ({
  id,
  slot: '0',
  pid: '7',
  generation: '1',
  path: '/feed',
  acceptedAt: id * 10,
  openedAt: id * 10,
  messages: 0,
  closeFrameAt: 1_000,
  code: 1001,
  reason: '',
  goneAt: 1_000,
  ...overrides,
})

t.test('ends of connections', async (t) => {
  const judge = (
    pieces: Partial<Connection>,
    faults: Fault[] = [],
    lines: string[] = [],
    wasKilled = false,
  ) => judgeConnections({ connections: [connection(1, pieces)], faults, lines, wasKilled })
  const cut = { code: null, closeFrameAt: null }
  t.same(judge({}), [])
  t.match(judge(cut), [/#1 of slot 0, pid 7, ended with no Close frame/])
  t.match(judge({ code: 1006 }), [/ended with 1006/])
  t.same(judge({ ...cut, openedAt: null }), [], 'never became a WebSocket')
  t.same(judge({ ...cut, openedAt: 998 }), [], 'its peer had left before it was one')
  t.same(judge(cut, [fault()]), [], 'its process was killed from outside')
  t.match(judge(cut, [fault({ pid: 8 })]), [/no Close frame/], 'another one was')
  const stopped = [fault({ signal: 'SIGSTOP' })]
  t.match(judge(cut, stopped), [/no Close frame/])
  t.same(judge(cut, stopped, ['worker 0 gone: killed: too late (pid 7, generation 1)']), [])
  t.same(judge(cut, stopped, [], true), [])
})

t.test('connections at once', async (t) => {
  const judge = (...connections: Connection[]) =>
    judgeConnections({ connections, faults: [], lines: [], wasKilled: false })
  const three = [connection(1), connection(2, { pid: '8' }), connection(3, { pid: '9' })] as const
  t.same(judge(three[0], three[1]), [])
  const harmed = { connections: three, faults: [fault({ signal: 'SIGTERM' })], lines: [], wasKilled: false }
  t.same(judgeConnections(harmed), [], 'one of them was told to go')
  t.match(judge(...three), [/slot 0 had 3 connections of \/feed at once: #1 pid 7, #2 pid 8, #3 pid 9/])
  t.same(judge(three[0], three[1], connection(3, { slot: '1' })), [])
  t.same(judge(three[0], three[1], connection(3, { path: '/orders' })), [])
  t.same(judge(connection(1, { goneAt: 25 }), three[1], three[2]), [])
})
