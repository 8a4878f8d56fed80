import t, { type Test } from 'tap'
import { describeLoad, startLoad } from '../support/load.js'
import { Primary } from './support/primary.js'

const ROUNDS = 5
const CLIENTS = { keepalive: 10, close: 5, slow: 5, slowReused: 10 }

/** Rolls two workers again and again under load, each new one ready before its predecessor is told to drain. */
const roll = async (t: Test, script: string): Promise<void> => {
  const primary = new Primary(t, script)
  let workers = [await primary.serve(), await primary.serve()]
  const [first] = workers
  if (!first) throw new Error('no worker')
  const load = startLoad({ port: first.port, slowPath: '/slow', timeout: 8_000, clients: CLIENTS })
  for (let round = 0; round < ROUNDS; round++) {
    const replacements = []
    for (const { id } of workers) {
      replacements.push(await primary.serve())
      primary.drain(id)
      const { code, signal } = await primary.exit(id)
      t.same({ code, signal }, { code: 0, signal: null }, `worker ${id} leaves with exit code 0`)
    }
    workers = replacements
  }
  const result = await load.stop()
  t.equal(result.failed, 0, describeLoad(result))
  t.ok(result.requests > 500, `enough requests to mean something: ${result.requests}`)
}

t.test('a plain http app loses no request when its workers are rolled', (t) => roll(t, 'http-app.js'))
t.test('an app that calls server.close() on SIGTERM loses no request', (t) => roll(t, 'closes-on-sigterm.js'))
t.test('an app that calls process.exit() on SIGTERM loses no request', (t) => roll(t, 'exits-on-sigterm.js'))
t.test('an app that calls process.exit() on SIGINT loses no request', (t) => roll(t, 'exits-on-sigint.cjs'))
