import { availableParallelism } from 'node:os'
import t, { type Test } from 'tap'
import { MAX_DURATION } from '../../src/shared/duration.js'
import { OPTIONS, type OptionKey } from '../../src/shared/option-table.js'
import { isPlainObject, readRestart } from '../../src/shared/option-values.js'
import { printable } from '../../src/shared/printable.js'
import { isName } from '../../src/shared/supervisor-name.js'

type Form = 'text' | 'value'

const read = (key: OptionKey, raw: unknown, form: Form): unknown => OPTIONS[key].read(`--${key}`, raw, form)

const refuses = (t: Test, key: OptionKey, raw: unknown, form: Form, remedy: RegExp): void => {
  t.throws(
    () => read(key, raw, form),
    { code: 'FORKSAFE_ERR_OPTION_INVALID', message: new RegExp(`^--${key}[:,].*${remedy.source}`) },
    `${key} ${form} ${String(raw).slice(0, 20)}`,
  )
  try {
    read(key, raw, form)
  } catch (error) {
    t.equal(printable(String(error)), String(error), 'the message is one line without control characters')
  }
}

t.test('workers takes whole numbers from 1 to 1024 and max', async (t) => {
  t.equal(read('workers', '4', 'text'), 4)
  t.equal(read('workers', 1024, 'value'), 1024)
  t.equal(read('workers', 'max', 'text'), availableParallelism())
  t.equal(read('workers', 'max', 'value'), availableParallelism())
})

t.test('workers refuses everything else', async (t) => {
  for (const raw of ['-1', '1.5', 'many', '1e9', '1000000000', '', ' ', '0x10', '1025', '+4', 'MAX']) {
    refuses(t, 'workers', raw, 'text', /use a whole number from 1 to 1024, or max/)
  }
  for (const raw of [-1, 1.5, 1e9, '4', Number.NaN, Number.POSITIVE_INFINITY, null, true, {}, []]) {
    refuses(t, 'workers', raw, 'value', /use a whole number from 1 to 1024, or max/)
  }
})

t.test('workers 0 is refused with the word that people mean', async (t) => {
  refuses(t, 'workers', '0', 'text', /use max/)
  refuses(t, 'workers', 0, 'value', /use max/)
})

t.test('durations take numbers and units', async (t) => {
  t.equal(read('readyTimeout', '30s', 'text'), 30_000)
  t.equal(read('readyTimeout', 250, 'value'), 250)
  t.equal(read('stopTimeout', String(MAX_DURATION), 'text'), MAX_DURATION)
  t.equal(read('minUptime', '0', 'text'), 0)
})

t.test('durations refuse what no timer can keep', async (t) => {
  for (const raw of ['5x', '-1', String(2 ** 31), 'Infinity', '', 'NaN', '1h30m']) {
    refuses(t, 'readyTimeout', raw, 'text', /(is not a duration; write|is out of range; use)/)
  }
  for (const raw of [-1, 2 ** 31, Number.POSITIVE_INFINITY, Number.NaN, 0, null, {}]) {
    refuses(t, 'readyTimeout', raw, 'value', /(is not a duration; write|is out of range; use)/)
  }
})

t.test('names refuse what could leave the folder or move a cursor', async (t) => {
  const names = [
    'a/b',
    '..',
    '.',
    '.hidden',
    '',
    'a\0b',
    'a\nb',
    '\x1b[31mred',
    'a b',
    'ü',
    '-x',
    'x'.repeat(65),
  ]
  for (const raw of names) refuses(t, 'name', raw, 'text', /is not a name; use/)
  for (const raw of [1, null, {}]) refuses(t, 'name', raw, 'value', /is not a name; use/)
  for (const name of ['api', '0', 'a.b-c_D', 'x'.repeat(64)]) t.ok(isName(name), name)
})

t.test('choices name what there is', async (t) => {
  t.equal(read('readiness', 'listening', 'text'), 'listening')
  refuses(t, 'readiness', 'soon', 'text', /is not one of auto, listening, ready/)
  refuses(t, 'logFormat', 'xml', 'value', /is not one of pretty, json/)
})

t.test('variables are read from assignments and from objects', async (t) => {
  t.same(read('env', ['A=1', 'B=x=y', 'C='], 'text'), { A: '1', B: 'x=y', C: '' })
  t.same(read('env', { A: 1, B: true, C: 'x' }, 'value'), { A: '1', B: 'true', C: 'x' })
})

t.test('variables refuse what no environment can hold, prototypes, and ours', async (t) => {
  refuses(t, 'env', ['A'], 'text', /write KEY=VALUE/)
  refuses(t, 'env', ['=1'], 'text', /write KEY=VALUE/)
  refuses(t, 'env', ['A=\0'], 'text', /is not a text that a process can be given/)
  refuses(t, 'env', JSON.parse('{"__proto__":"x"}'), 'value', /is not a name of a variable/)
  refuses(t, 'env', { constructor: 'x' }, 'value', /is not a name of a variable/)
  refuses(t, 'env', { A: '\0' }, 'value', /holds a NUL/)
  refuses(t, 'env', { A: {} }, 'value', /is not a text, number or boolean/)
  refuses(t, 'env', ['A=1'], 'value', /is not an object; write/)
  for (const key of [
    'FORKSAFE_WORKER',
    'NODE_UNIQUE_ID',
    'NODE_CHANNEL_FD',
    'SUPERVISOR_SLOT',
    'NODE_APP_INSTANCE',
  ]) {
    refuses(t, 'env', [`${key}=1`], 'text', /is set by the supervisor itself/)
  }
})

t.test('node args are a list, or one text split at spaces', async (t) => {
  t.same(read('nodeArgs', ' --import  tsx ', 'text'), ['--import', 'tsx'])
  t.same(read('nodeArgs', ['--title', 'a b'], 'value'), ['--title', 'a b'])
  refuses(t, 'nodeArgs', [1], 'value', /is not a text/)
  refuses(t, 'nodeArgs', 5, 'value', /is not a list/)
})

t.test(
  'names of secrets are a list, or one text split at commas; a value given by mistake is not shown',
  async (t) => {
    t.same(read('secrets', ['A', 'B_2'], 'text'), ['A', 'B_2'])
    t.same(read('secrets', 'A, B_2', 'text'), ['A', 'B_2'])
    for (const raw of [['s3cret!value'], ['A=b'], ['']])
      refuses(t, 'secrets', raw, 'value', / "\(not shown\)" is not a name of a variable; write the name/)
    refuses(t, 'secrets', 'A', 'value', /is not a list/)
  },
)

t.test('sizes and counts of log files have bounds', async (t) => {
  t.equal(read('logMaxSize', '64K', 'text'), 65_536)
  refuses(t, 'logMaxSize', '1', 'text', /is not a size of at least 1024 bytes/)
  refuses(t, 'logMaxFiles', '1', 'text', /use a whole number from 2 to 1000/)
  refuses(t, 'logLevel', 'trace', 'text', /is not one of debug, info, warn, error/)
})

t.test('hooks are functions', async (t) => {
  const hook = (): void => {}
  t.equal(read('beforeFork', hook, 'value'), hook)
  refuses(t, 'beforeFork', 'x', 'value', /is not a function/)
})

t.test('paths are texts', async (t) => {
  for (const raw of ['', ' ', 'a\0b', 5, null]) refuses(t, 'script', raw, 'value', /is not a path/)
})

t.test('long input is read in no time', async (t) => {
  for (const character of ['a', ' ', '1', ',', '-']) {
    const long = character.repeat(100_000)
    for (const key of ['workers', 'readyTimeout', 'name', 'readiness', 'maxSurge'] as const) {
      t.throws(() => read(key, long, 'text'), { message: /^.{1,300}$/ })
    }
  }
})

t.test('only object literals count as plain objects', async (t) => {
  t.ok(isPlainObject({}))
  t.ok(isPlainObject(Object.create(null)))
  for (const value of [[], null, 'x', new Map(), new Date(), { __proto__: { workers: 1 } }])
    t.notOk(isPlainObject(value))
})

t.test(
  'restart limits are an object in a file and a text elsewhere; what is left out is the default',
  async (t) => {
    const read = readRestart({ intensity: 10, period: 60_000, onExceeded: 'backoff' })
    t.same(read('restart', { intensity: 3 }, 'value'), {
      intensity: 3,
      period: 60_000,
      onExceeded: 'backoff',
    })
    t.same(read('--restart', 'intensity=0, period=5m,onExceeded=exit', 'text'), {
      intensity: 0,
      period: 300_000,
      onExceeded: 'exit',
    })
    const refused: [raw: unknown, form: 'text' | 'value', message: RegExp][] = [
      ['10', 'text', /^restart: "10" is not understood; write intensity=10,period=60s,onExceeded=exit$/],
      ['intensity=10', 'value', /is not an object/],
      [
        'intensty=10',
        'text',
        /^restart, "intensty": "10" is unknown; there is intensity, period, onExceeded$/,
      ],
      [{ intensity: -1 }, 'value', /^restart, intensity: -1 is not allowed/],
      [{ intensity: '3' }, 'value', /^restart, intensity: "3" is not allowed/],
      [{ period: '10ms' }, 'value', /^restart, period: /],
      [{ onExceeded: 'stop' }, 'value', /^restart, onExceeded: "stop" is not one of backoff, exit$/],
      [{ __proto__: null, constructor: 1 }, 'value', /is unknown/],
    ]
    for (const [raw, form, message] of refused) t.throws(() => read('restart', raw, form), { message })
  },
)

t.test('connectionBudget is a number of connections for each endpoint', async (t) => {
  t.same(read('connectionBudget', ['api.example.com:443=1', '[::1]:80=0'], 'text'), {
    'api.example.com:443': 1,
    '[::1]:80': 0,
  })
  t.same(read('connectionBudget', { 'API.example.com:443': 2 }, 'value'), { 'api.example.com:443': 2 })
  for (const raw of [
    'api.example.com=1',
    'wss://api.example.com:443=1',
    'api:443',
    'api:0=1',
    'api:65536=1',
    '=1',
    '',
  ]) {
    refuses(t, 'connectionBudget', [raw], 'text', /write HOST:PORT=COUNT, such as api\.example\.com:443=1/)
  }
  for (const raw of ['api:443=', 'api:443=x', 'api:443=-1', 'api:443=1.5']) {
    refuses(t, 'connectionBudget', [raw], 'text', /use a whole number from 0 to 1000000/)
  }
  for (const raw of [5, 'api:443=1', null, []]) {
    refuses(t, 'connectionBudget', raw, 'value', /write \{ 'api\.example\.com:443': 1 \}/)
  }
  refuses(t, 'connectionBudget', { api: 1 }, 'value', /write HOST:PORT, such as/)
  refuses(t, 'connectionBudget', { 'api:443': '1' }, 'value', /use a whole number/)
})

t.test('auditInterval is a time of at least a second, or none', async (t) => {
  t.equal(read('auditInterval', '0', 'text'), 0)
  t.equal(read('auditInterval', 0, 'value'), 0)
  t.equal(read('auditInterval', '5m', 'text'), 300_000)
  for (const raw of ['10ms', '-1s', 'often', '']) refuses(t, 'auditInterval', raw, 'text', /./)
})
