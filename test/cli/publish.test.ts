// supervisor publish, through the real command, with an ingress before a recording door.

import { createServer } from 'node:http'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { socketFolder } from '../control/socket-folder.js'
import { serveUnix } from '../relay/ingress/serving.js'
import { uninstrumentChildren } from '../support/clean-children.js'
import { type CliResult, runCli } from '../support/run-cli.js'

uninstrumentChildren()

const relay = async (t: Test) => {
  const served = await serveUnix(t)
  const home = socketFolder(t)
  const run = (args: string[], stdin?: string | Buffer, env: NodeJS.ProcessEnv = {}): Promise<CliResult> =>
    runCli(['publish', ...args], {
      home,
      env: { FORKSAFE_RELAY: served.place, ...env },
      ...(stdin === undefined ? {} : { stdin }),
    })
  return { ...served, run, home }
}

t.test('a message is an operand or stdin, byte for byte', async (t) => {
  const { door, run } = await relay(t)
  const { code, stdout } = await run(['feed', 'hello', '--id', 'm1', '--key', 'k', '--ttl', '60s'])
  t.equal(code, 0)
  t.equal(stdout, 'queued m1\n')
  t.match(door.appended[0], { id: 'm1', key: 'k', isBinary: false })
  t.equal((await run(['feed', '-'], 'from stdin\n')).code, 0)
  t.equal((await run(['feed'], 'again')).code, 0)
  t.equal((await run(['feed', '--binary'], Buffer.from([0, 255]))).code, 0)
  t.same(
    door.appended.map(({ body }) => body.toString('latin1')),
    ['hello', 'from stdin\n', 'again', '\0\xff'],
  )
  t.equal(door.appended[3]?.isBinary, true)
})

t.test('a repetition is no failure, another message of the same id is', async (t) => {
  const { run } = await relay(t)
  await run(['feed', 'hello', '--id', 'm1'])
  const again = await run(['feed', 'hello', '--id', 'm1', '--json'])
  t.equal(again.code, 0)
  t.same(JSON.parse(again.stdout), { id: 'm1', state: 'queued', duplicate: true })
  const other = await run(['feed', 'other', '--id', 'm1'])
  t.equal(other.code, 1)
  t.match(other.stderr, /^supervisor: relay .*: another message with this id/)
})

t.test('with --wait it says what became of the message', async (t) => {
  const { door, run } = await relay(t)
  const { settled } = door
  door.settled = (client, id, signal) => {
    door.settle(id, { state: 'delivered', receipt: { level: 'received', epoch: 1, rtt: 3.4 } })
    return settled.call(door, client, id, signal)
  }
  const { code, stdout } = await run(['feed', 'x', '--id', 'm1', '--wait', '30s'])
  t.equal(code, 0)
  t.equal(stdout, 'delivered m1 (in 3 ms)\n')
  door.settled = (client, id, signal) => {
    door.settle(id, { state: 'parked', reason: 'too big for the upstream' })
    return settled.call(door, client, id, signal)
  }
  const parked = await run(['feed', 'x', '--id', 'm2', '--wait', '30s'])
  t.equal(parked.code, 1)
  t.equal(parked.stdout, 'parked m2 (too big for the upstream)\n')
})

t.test('a batch comes from stdin, each line gets an id, and what is refused is told', async (t) => {
  const { door, run } = await relay(t)
  const lines = ['{"data":"a","id":"1"}', '', '{"base64":"AP8="}', '{"data":"c","ttl":60,"key":"k"}']
  const { code, stdout } = await run(['feed', '--batch'], `${lines.join('\r\n')}\n`)
  t.equal(code, 0)
  t.equal(stdout, '3 taken\n')
  t.match(door.appended, [{ id: '1' }, { isBinary: true }, { key: 'k' }])
  const again = await run(['feed', '--batch', '--json'], '{"data":"other","id":"1"}\n{"data":"d","id":"4"}')
  t.equal(again.code, 1)
  t.match(
    again.stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line)),
    [
      { id: '1', error: { code: 'FORKSAFE_ERR_RELAY_CONFLICT' } },
      { id: '4', state: 'queued' },
    ],
  )
  const many = Array.from({ length: 10_050 }, (_, index) => `{"data":"${index}"}`).join('\n')
  t.equal((await run(['feed', '--batch'], many)).stdout, '10050 taken\n')
  t.equal(door.appended.at(-1)?.body.toString(), '10049')
})

t.test(
  'exit codes say what went wrong: 1 refused, 2 the command line, 3 nobody there, 4 no answer',
  async (t) => {
    const { door, run, home } = await relay(t)
    const wrong: [string[], RegExp, string?][] = [
      [[], /missing required argument 'client'/],
      [['feed', 'a', 'b'], /too many arguments/],
      [['feed'], /the message is empty/, ''],
      [['feed', ''], /the message is empty/],
      [['fe/ed', 'x'], /client is not the name of a client/],
      [['feed', 'x', '--id', 'a b'], /id is not 1 to 128 printable/],
      [['feed', 'x', '--ttl', 'soon'], /ttl: "soon" is not a duration/],
      [['feed', 'x', '--wait', '10m'], /wait: "10m" is out of range/],
      [['feed', 'x', '--name', '../x'], /is no relay/],
      [['feed', 'x', '--socket', 'relay.sock'], /is no relay/],
      [['feed', 'x', '--idd', '5'], /unknown option '--idd'/],
      [['feed', '--batch'], /line 2 is not valid JSON/, '{"data":"a"}\nx\n'],
      [['feed', '--batch'], /line 1 has the field "x"/, '{"x":"a"}'],
      [['feed', '--batch'], /stdin holds no line/, '\n'],
      [['feed', '--batch', '--id', 'x'], /--id is of one message/, '{"data":"a"}'],
      [['feed', '--batch', 'x'], /read from stdin/, '{"data":"a"}'],
    ]
    for (const [args, says, stdin] of wrong) {
      const { code, stderr, stdout } = await run(args, stdin)
      t.equal(code, 2, args.join(' '))
      t.match(stderr, says, args.join(' '))
      t.equal(stderr.split('\n').length, 2, 'one line')
      t.equal(stdout, '')
    }
    const notText = await run(['feed'], Buffer.from([0xff]))
    t.equal(notText.code, 2)
    t.match(notText.stderr, /--binary/)
    t.same(door.appended, [])
    t.equal((await run(['other', 'x'])).code, 1)
    const nobody = await run([
      'feed',
      'x',
      '--socket',
      join(home, 'none.sock'),
      '--timeout',
      '100ms',
      '--json',
    ])
    t.equal(nobody.code, 3)
    t.match(JSON.parse(nobody.stdout), { error: { code: 'FORKSAFE_ERR_RELAY_UNREACHABLE' } })
    const silent = createServer(() => {})
    const path = join(home, 'silent.sock')
    await new Promise<void>((resolve) => silent.listen(path, resolve))
    t.equal((await run(['feed', 'x', '--socket', path, '--timeout', '200ms'])).code, 4)
    silent.closeAllConnections()
    silent.close()
  },
)

t.test('help shows examples and exit codes', async (t) => {
  const { run } = await relay(t)
  const { code, stdout } = await run(['--help'])
  t.equal(code, 0)
  t.match(stdout, /Examples:\n {2}supervisor publish feed/)
  t.match(stdout, /3 when no relay is there/)
})
