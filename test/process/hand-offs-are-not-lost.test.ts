// Connections that node:cluster had handed to a worker when it died: with a worker left, none of them hangs. Requests that
// the dead worker had begun do fail: they are its own.

import t from 'tap'
import { uninstrumentChildren } from '../support/clean-children.js'
import { freePort } from '../support/free-port.js'
import { describeLoad, startLoad } from '../support/load.js'
import { startSupervisor } from '../support/supervisor-process.js'

uninstrumentChildren()

t.test('kill -9 of one worker after another, under connections that come and go', async (t) => {
  const port = await freePort()
  const supervisor = startSupervisor(t, {
    args: ['test/process/fixtures/plain-http.js', '--workers', '6', '--name', 'kills'],
    env: { PORT: String(port) },
  })
  const { workers } = await supervisor.waitUntilReady()
  const load = startLoad({ port, clients: { close: 60 } })
  // Each slot once: a first crash is answered at once, and there are always workers left.
  for (const { pid } of workers) {
    await load.finished(load.result.requests + 400)
    process.kill(pid ?? 0, 'SIGKILL')
  }
  await load.finished(load.result.requests + 400)
  const result = await load.stop()
  t.notOk(result.byKind.TIMEOUT, `no connection hangs: ${describeLoad(result)}`)
  t.notOk(result.byKind.ECONNREFUSED, 'the listener stays')
})
