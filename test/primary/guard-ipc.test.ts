// A real channel: what is no message is reported once, and every message around it arrives.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import t, { type Test } from 'tap'
import { guardIpc } from '../../src/primary/guard-ipc.js'
import { cleanEnv, uninstrumentChildren } from '../support/clean-children.js'
import { withDeadline } from '../support/deadline.js'

uninstrumentChildren()

const MIB = 1024 * 1024
const WRITES = `
const { writeSync } = require('fs')
const pause = () => new Promise((resolve) => setTimeout(resolve, 20))
const write = (bytes) => {
  for (let rest = Buffer.from(bytes); rest.length > 0; ) {
    try { rest = rest.subarray(writeSync(process.channel.fd, rest)) } catch (error) { if (error.code !== 'EAGAIN') throw error }
  }
}
`

/** What the parent gets from a child that runs `source` with `write(bytes)` and `pause()`, and then sends 'end'. */
const received = async (t: Test, source: string): Promise<{ messages: unknown[]; faults: string[] }> => {
  const child = spawn(process.execPath, ['-e', `${WRITES}(async () => { ${source}; write('"end"\\n') })()`], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    env: cleanEnv(),
  })
  t.teardown(() => child.kill('SIGKILL'))
  const messages: unknown[] = []
  const faults: string[] = []
  guardIpc(child, (reason) => faults.push(reason))
  const ended = new Promise<void>((resolve) => {
    child.on('message', (message) => (message === 'end' ? resolve() : messages.push(message)))
  })
  await withDeadline(ended, {
    what: 'the last message',
    last: () => JSON.stringify({ faults }).slice(0, 500),
  })
  const exited = once(child, 'exit')
  child.disconnect()
  await exited
  return { messages, faults }
}

const NONSENSE = ['wrote something that is not a message to its IPC channel']
const TOO_LONG = ['wrote a message of more than 16 MiB to its IPC channel']

const cases: [title: string, source: string, messages: unknown[], faults: string[]][] = [
  [
    'messages alone',
    `write('1\\n2\\n'); await pause(); write('"ü'); await pause(); write('"\\n')`,
    [1, 2, 'ü'],
    [],
  ],
  ['nonsense between messages', `write('1\\nno\\n2\\n\\nno\\n3\\n')`, [1, 2, 3], NONSENSE],
  ['nonsense in two halves', `write('1\\n{"a'); await pause(); write('b\\n2\\n')`, [1, 2], NONSENSE],
  [
    'nonsense before half a message',
    `write('no\\n{"a":'); await pause(); write('1}\\n')`,
    [{ a: 1 }],
    NONSENSE,
  ],
  [
    'a character cut in two behind nonsense',
    `write(Buffer.concat([Buffer.from('no\\n"'), Buffer.from([0xc3])])); await pause(); write(Buffer.concat([Buffer.from([0xbc]), Buffer.from('"\\n')]))`,
    ['ü'],
    NONSENSE,
  ],
  ['some hundred empty lines', `write('1\\n'); write('\\n'.repeat(900)); write('2\\n')`, [1, 2], NONSENSE],
  [
    'a line that is too long',
    `write('1\\n"'); write('x'.repeat(${20 * MIB})); write('"\\n2\\n')`,
    [1, 2],
    TOO_LONG,
  ],
  [
    'two that are',
    `for (const n of [1, 2]) { write('x'.repeat(${17 * MIB})); write('\\n' + n + '\\n') }`,
    [1, 2],
    TOO_LONG,
  ],
  [
    'a long one that is not too long',
    `write('"' + 'x'.repeat(${15 * MIB}) + '"\\n')`,
    ['x'.repeat(15 * MIB)],
    [],
  ],
]
for (const [title, source, messages, faults] of cases) {
  t.test(`${title}: all messages arrive`, async (t) => {
    const got = await received(t, source)
    t.same(got.faults, faults)
    t.equal(
      JSON.stringify(got.messages) === JSON.stringify(messages),
      true,
      JSON.stringify(got.messages).slice(0, 200),
    )
  })
}

t.test('a channel with no end of nonsense is closed', async (t) => {
  const source = `${WRITES} write('no\\n'.repeat(1e6))`
  const child = spawn(process.execPath, ['-e', source], {
    stdio: ['ignore', 'inherit', 'pipe', 'ipc'],
    env: cleanEnv(),
  })
  t.teardown(() => child.kill('SIGKILL'))
  const faults: string[] = []
  guardIpc(child, (reason) => faults.push(reason))
  await withDeadline(once(child, 'exit'), { what: 'the child to lose its channel' })
  t.same(faults, NONSENSE)
})

t.test('an error of a listener is not taken for nonsense', async (t) => {
  const child = spawn(process.execPath, ['-e', 'process.send(1)'], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    env: cleanEnv(),
  })
  const faults: string[] = []
  guardIpc(child, (reason) => faults.push(reason))
  const seen: unknown[] = []
  child.on('message', (message) => {
    seen.push(message)
    JSON.parse('{')
  })
  const caught = new Promise((resolve) => process.once('uncaughtException', resolve))
  t.match(await withDeadline(caught, { what: 'the error of the listener' }), SyntaxError)
  t.same([seen, faults], [[1], []])
  child.kill('SIGKILL')
  await once(child, 'exit')
})
