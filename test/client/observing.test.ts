// How a client is seen from outside: diagnostics channels, inspection, what an import brings, what keeps a process alive.

import { execFile } from 'node:child_process'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { inspect, promisify } from 'node:util'
import t from 'tap'
import type { ClientEventMessage } from '../../src/client/index.js'
import { cleanEnv, uninstrumentChildren } from '../support/clean-children.js'
import { recordingUpstream } from '../support/recording-upstream.js'
import { newClient } from './new-client.js'

uninstrumentChildren()
const run = promisify(execFile)

t.test('every event is published on a channel of its name', async (t) => {
  const upstream = await recordingUpstream(t, { echoes: true })
  const seen: ClientEventMessage[] = []
  const see = (message: unknown): void => void seen.push(message as ClientEventMessage)
  const names = ['connecting', 'opened', 'message', 'lost', 'stateChanged', 'closed']
  for (const name of names) subscribe(`forksafe.client.${name}`, see)
  t.teardown(() => {
    for (const name of names) unsubscribe(`forksafe.client.${name}`, see)
  })
  const client = newClient(t, upstream.url)
  await client.send('hello')
  await client.close()
  const mine = seen.filter(({ client: name }) => name === client.name)
  t.same(
    mine.filter(({ event }) => event !== 'stateChanged').map(({ event }) => event),
    ['connecting', 'opened', 'message', 'lost', 'closed'],
  )
  t.match(mine.find(({ event }) => event === 'message')?.payload, ['hello', { isBinary: false, epoch: 1 }])
})

t.test('inspecting a client shows its state and no secret', async (t) => {
  const client = newClient(t, 'wss://user:hunter2@example.org/?token=hunter2', {
    headers: { authorization: 'Bearer hunter2' },
  })
  const text = inspect(client)
  t.match(text, /GuardedClient \{[\s\S]*name: 'client \d+'[\s\S]*state: 'idle'[\s\S]*pending: 0/)
  t.notMatch(inspect(client, { depth: 10, showHidden: true }), /hunter2/)
})

t.test('afterConnect may wait for the answer to its login, and listeners hear it as well', async (t) => {
  const upstream = await recordingUpstream(t, { echoes: true })
  const heard: unknown[] = []
  const client = newClient(t, upstream.url, {
    afterConnect: async (session) => {
      await session.send('login')
      heard.push(`answer: ${await session.receive()}`)
    },
  })
  client.on('message', (data) => heard.push(data))
  await client.send('work')
  t.same(upstream.messages, ['login', 'work'])
  t.same(heard.slice(0, 2).sort(), ['answer: login', 'login'])
})

t.test('a listener may do anything, and all of it is one dial', async (t) => {
  const upstream = await recordingUpstream(t, { echoes: true })
  const client = newClient(t, upstream.url)
  const sent: Promise<unknown>[] = []
  for (const event of ['connecting', 'stateChanged', 'opened', 'message'] as const) {
    client.once(event, () => {
      client.connect().catch(() => {})
      sent.push(client.send(event))
    })
  }
  await Promise.all([client.connect(), client.connect(), client.send('first')])
  await upstream.waitFor(({ messages }) => messages.length === 5)
  t.match(await Promise.all(sent), Array(4).fill({ level: 'received', epoch: 1 }))
  t.equal(upstream.connections.length, 1)
})

/** A plain script with the built package; its standard output. */
const script = async (text: string): Promise<string> => {
  const options = { env: cleanEnv(), timeout: 20_000 }
  return (await run(process.execPath, ['--input-type=module', '-e', text], options)).stdout.trim()
}

t.test('forksafe/client brings no cluster, no lock file, no logger, and installs nothing', async (t) => {
  const found = await script(
    `
    import { registerHooks } from 'node:module'
    import { createRequire } from 'node:module'
    const signals = ['SIGTERM', 'SIGINT', 'SIGHUP', 'exit', 'message', 'disconnect']
    const before = signals.map((name) => process.listenerCount(name))
    await import('forksafe/client')
    const { cache } = createRequire(import.meta.url)
    const loaded = [...process.moduleLoadList.filter((name) => name === 'NativeModule cluster'), ...Object.keys(cache)]
    const after = signals.map((name) => process.listenerCount(name))
    console.log(JSON.stringify({ loaded, isUntouched: String(before) === String(after) }))
  `.replace("import { registerHooks } from 'node:module'\n", ''),
  )
  const { loaded, isUntouched } = JSON.parse(found) as { loaded: string[]; isUntouched: boolean }
  t.notMatch(loaded.join('\n'), /cluster|proper-lockfile|pino|pidusage|commander|rotating/)
  t.ok(isUntouched, 'no listener was added to the process')
})

t.test('a plain script ends by itself after close(), and while it is connected it does not', async (t) => {
  const upstream = await recordingUpstream(t)
  const printed = await script(`
    import { guardedClient } from 'forksafe/client'
    const client = guardedClient('plain', { url: ${JSON.stringify(upstream.url)} })
    const receipt = await client.send('hello', { timeout: '1m', expiresAt: Date.now() + 60_000 })
    await client.close()
    console.log(receipt.level, client.state)
  `)
  t.equal(printed, 'received closed')
  await upstream.waitFor(({ connected }) => connected.length === 0)
  t.equal(upstream.upgraded[0]?.code, 1000)
})
