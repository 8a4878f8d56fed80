// A relay beside an app, in one supervisor: each is counted by itself, a release of the app that is turned back leaves the
// relay alone, and no secret of the relay is seen anywhere.

import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { uninstrumentChildren } from '../support/clean-children.js'
import { freePort } from '../support/free-port.js'
import { recordingUpstream } from '../support/recording-upstream.js'
import { callRelay } from '../support/relay-callers.js'
import { shortFolder } from '../support/relay-parts.js'
import { runCli } from '../support/run-cli.js'
import { startSupervisor } from '../support/supervisor-process.js'

uninstrumentChildren()

const APP = `
import { createServer } from 'node:http'
const { SUPERVISOR_SLOT, SUPERVISOR_WORKERS, NODE_APP_INSTANCE, FORKSAFE_RELAY, SUPERVISOR_RELAY } = process.env
const told = { SUPERVISOR_SLOT, SUPERVISOR_WORKERS, NODE_APP_INSTANCE, FORKSAFE_RELAY, SUPERVISOR_RELAY }
console.log('told ' + JSON.stringify(told))
createServer((_request, response) => response.end('ok')).listen(Number(process.env.PORT), '127.0.0.1')
`
const SECRETS = ['query-secret-1', 'header-secret-2', 'file-secret-3', 'token-secret-4-long-enough']

t.test('an app with a relay', async (t) => {
  const upstream = await recordingUpstream(t)
  const folder = shortFolder(t)
  const socket = join(folder, 's/relay.sock')
  const [url = '', header = '', inFile = '', token = ''] = SECRETS
  const write = (name: string, text: string): void => {
    writeFileSync(join(folder, name), text)
    chmodSync(join(folder, name), 0o600)
  }
  const relay = {
    to: {
      feed: {
        url: `${upstream.url}/in?key=${url}`,
        headers: { 'X-Key': header },
        headerFile: 'headers',
      },
    },
    listen: `unix:${socket}`,
    spool: 'spool',
    tokenFile: 'token',
  }
  const configure = (over: object = {}): void =>
    write(
      'supervisor.config.json',
      JSON.stringify({ script: 'app.js', name: 'api', workers: 2, minUptime: '200ms', relay, ...over }),
    )
  write('package.json', '{ "type": "module" }')
  write('headers', `Authorization: Bearer ${inFile}\n`)
  write('token', `${token}\n`)
  write('app.js', APP)
  configure()

  const checked = await runCli(['config', 'check'], { home: join(folder, 'run'), cwd: folder })
  const asJson = await runCli(['config', 'check', '--json'], { home: join(folder, 'run'), cwd: folder })
  t.match(checked, {
    code: 0,
    stdout: /relay\.to\.feed +ws:\/\/\S+\/in\?\(hidden\).* Authorization: \(hidden\)/,
  })
  t.match(JSON.parse(asJson.stdout).relay, { token: '(hidden)', to: [{ headers: { 'X-Key': '(hidden)' } }] })
  for (const secret of SECRETS) t.notMatch(checked.stdout + asJson.stdout, secret)

  const env = { PORT: String(await freePort()) }
  const supervisor = startSupervisor(t, { cwd: folder, env })
  const status = await supervisor.waitUntilReady()
  t.same(
    status.workers.map(({ slot, role }) => [slot, role]),
    [
      [0, 'relay'],
      [1, 'app'],
      [2, 'app'],
    ],
  )
  const told = { SUPERVISOR_WORKERS: '2', FORKSAFE_RELAY: socket }
  for (const slot of ['0', '1']) {
    const [, text = ''] = await supervisor.waitForLine(new RegExp(`told (.*"SUPERVISOR_SLOT":"${slot}".*)`))
    t.same(JSON.parse(text), { ...told, SUPERVISOR_SLOT: slot, NODE_APP_INSTANCE: slot })
  }
  const [relayWorker] = status.workers

  t.match(await callRelay(socket, { body: 'one', headers: { Prefer: 'wait=10' } }), { status: 200 })
  t.match(await supervisor.cli('scale', '3'), { code: 0, stdout: /3 workers run \(2 before\)/ })
  t.match(await supervisor.cli('scale', '-1'), { code: 0, stdout: /2 workers run \(3 before\)/ })

  // A release that cannot run: the relay goes on, the very same process.
  write('app.js', 'throw new Error("bad release")\n')
  t.match(await supervisor.cli('reload'), { code: 5, stderr: /rolled back to generation 1: worker 1/ })
  const [after] = (await supervisor.status()).workers
  t.same([after?.pid, after?.role], [relayWorker?.pid, 'relay'])
  t.match(await callRelay(socket, { body: 'two', headers: { Prefer: 'wait=10' } }), { status: 200 })

  // And one that can, with another upstream beside the first one.
  write('app.js', APP)
  const other = await recordingUpstream(t)
  configure({ relay: { ...relay, workers: 2, to: { ...relay.to, other: other.url } } })
  t.match(await supervisor.cli('reload'), {
    code: 0,
    stdout: /2 workers and 1 relay worker run generation 3/,
  })
  await supervisor.waitForLine(/relay\.workers stays as it is: it is decided at the start/)
  const wait = { Prefer: 'wait=10' }
  t.match(await callRelay(socket, { path: '/v1/other', body: 'three', headers: wait }), { status: 200 })
  t.match(await callRelay(socket, { body: 'four', headers: wait }), { status: 200 })
  t.same([upstream.messages, other.messages], [['one', 'two', 'four'], ['three']])

  const shown = await supervisor.cli('status')
  t.match(shown.stdout, /slot +role +pid[^\n]*\n +0 +relay/)
  t.match(shown.stdout, new RegExp(`relay at unix:${socket}, spools in `))

  const said = [...supervisor.lines, shown.stdout, (await supervisor.cli('status', '--json')).stdout].join(
    '\n',
  )
  for (const secret of SECRETS) t.notMatch(said, secret)
  await supervisor.end()
})
