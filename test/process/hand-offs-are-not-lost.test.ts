// Connections that node:cluster had handed to a worker when it died: with a worker left, none of them hangs. Requests that
// the dead worker had begun do fail: they are its own.

import { once } from 'node:events'
import { connect } from 'node:net'
import t from 'tap'
import { uninstrumentChildren } from '../support/clean-children.js'
import { withDeadline } from '../support/deadline.js'
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

t.test(
  'what the last worker refuses when it has been told to leave is reset, and does not hang',
  async (t) => {
    const port = await freePort()
    const supervisor = startSupervisor(t, {
      args: ['test/process/fixtures/blocks-the-loop.js', '--min-uptime', '0', '--stop-timeout', '10s'],
      env: { PORT: String(port) },
    })
    await supervisor.waitUntilReady()
    // It computes: the order to leave waits for it, and behind that order the connection that is handed to it.
    await fetch(`http://127.0.0.1:${port}/block?ms=3000`)
    const restarted = supervisor.cli('restart')
    await supervisor.waitForLine(/worker 0 draining for restart/)
    const socket = connect(port, '127.0.0.1')
    t.teardown(() => socket.destroy())
    await once(socket, 'connect')
    socket.write('GET / HTTP/1.1\r\nhost: x\r\n\r\n')
    const ended = new Promise((resolve) => socket.on('error', resolve).on('end', resolve).on('data', resolve))
    await withDeadline(ended, { what: 'an answer or a reset' })
    t.equal((await restarted).code, 0)
  },
)
