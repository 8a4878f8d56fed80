// The formats of a line: pretty, JSON by pino, and the record of `supervisor logs --json`.

import t from 'tap'
import { jsonFormat } from '../../src/observe/json-format.js'
import type { LogLine } from '../../src/observe/log-buffer.js'
import { logRecord } from '../../src/observe/log-record.js'
import { prettyFormat } from '../../src/observe/pretty-format.js'

const worker = (text: string): LogLine => ({
  at: 1_000,
  source: 'worker',
  stream: 'stderr',
  slot: 0,
  pid: 12,
  generation: 3,
  text,
})

const EVENT: LogLine = {
  at: 1_000,
  source: 'supervisor',
  stream: 'stderr',
  level: 'warn',
  fields: { event: 'workerExited', slot: 0, pid: 12, generation: 3, code: 1, signal: null, expected: false },
  text: 'worker 0 gone',
}

t.test('an event has its name and values, a line of a worker its writer', async (t) => {
  const json = jsonFormat('api')
  t.equal(
    json(EVENT),
    '{"level":"warn","time":"1970-01-01T00:00:01.000Z","name":"api","source":"supervisor","event":"workerExited","slot":0,"pid":12,"generation":3,"code":1,"signal":null,"expected":false,"msg":"worker 0 gone"}\n',
  )
  t.equal(
    json(worker('said')),
    '{"level":"info","time":"1970-01-01T00:00:01.000Z","name":"api","source":"worker","stream":"stderr","slot":0,"pid":12,"generation":3,"msg":"said"}\n',
  )
})

const WILD = ['', 'plain', 'a\nb\r"\\', '\x1b[2J', '\u2028\u202e', 'é😀', '%s %d %j', 'x'.repeat(16_384)]

t.test('what is written and what logs --json prints is the same, character by character', async (t) => {
  const json = jsonFormat('api')
  for (const line of [EVENT, { ...EVENT, level: 'debug' as const }, ...WILD.map(worker)])
    t.equal(json(line), `${JSON.stringify(logRecord('api', line))}\n`)
})

t.test('a line of a worker moves no cursor and looks like nobody else', async (t) => {
  const pretty = prettyFormat({ time: 'date', hasColors: false })
  for (const text of [...WILD, '\ud800']) {
    const line = pretty(worker(text))
    t.match(line, /^1970-01-01T00:00:01\.000Z \[0:12 g3\] [^\n]*\n$/)
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there
    t.notMatch(line.slice(0, -1), /[\x00-\x1f\x7f\x80-\x9f\u2028\u202e]/)
  }
  t.equal(pretty(worker('\r12:00:00 [supervisor] stopped')).split('] ', 2)[1], '\\r12:00:00 [supervisor')
})

t.test('colour marks the tag and nothing else', async (t) => {
  const line = prettyFormat({ time: 'clock', hasColors: true })(worker('text'))
  t.equal(line.slice('00:00:00 '.length), '\x1b[36m[0:12 g3]\x1b[39m text\n')
})
