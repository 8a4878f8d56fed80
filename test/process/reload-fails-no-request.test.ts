// Rolling restarts under load, for apps that know nothing of supervisors: no request fails, with a client that never retries.
// The large round is bench/reload.js.

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { uninstrumentChildren } from '../support/clean-children.js'
import { freePort } from '../support/free-port.js'
import { describeLoad, startLoad } from '../support/load.js'
import { type SupervisorProcess, startSupervisor } from '../support/supervisor-process.js'
import { needsTool, toolCommand } from '../support/tools.js'

uninstrumentChildren()

const FIXTURES = 'test/process/fixtures'
const RELOADS = 2
const REQUESTS_EACH = 1_500

/** Rolls `supervisor` under load and expects every request to succeed, and new workers to have answered. */
const rollUnderLoad = async (
  t: Test,
  supervisor: SupervisorProcess,
  load: Parameters<typeof startLoad>[0],
) => {
  await supervisor.waitUntilReady()
  const running = startLoad({
    ...load,
    clients: { keepalive: 10, close: 5, slow: 10, slowReused: 10, ...load.clients },
  })
  for (let number = 1; number <= RELOADS; number++) {
    const { code, stderr } = await supervisor.cli('reload')
    t.equal(code, 0, stderr)
    await running.finished(number * REQUESTS_EACH)
  }
  const result = await running.stop()
  t.equal(result.failed, 0, describeLoad(result))
  const { generation, workers } = await supervisor.status()
  t.same([generation, ...workers.map((worker) => worker.generation)], [RELOADS + 1, RELOADS + 1, RELOADS + 1])
}

const answeringTheirPid: [app: string, file: string, needs: { skip?: string }][] = [
  ['plain http', 'plain-http.js', {}],
  ['plain http as CommonJS', 'plain-http.cjs', {}],
  ['Express', 'express-app.js', needsTool('apps')],
  ['Fastify', 'fastify-app.js', needsTool('apps')],
  ['an app that closes its server on SIGTERM', 'own-sigterm-server-close.js', {}],
  ['an app that exits on SIGTERM at once', 'own-sigterm-exits-at-once.js', {}],
]
for (const [app, file, needs] of answeringTheirPid) {
  t.test(`${app}: no request fails in rolling restarts`, needs, async (t) => {
    const port = await freePort()
    const supervisor = startSupervisor(t, {
      args: [join(FIXTURES, file), '--workers', '2', '--min-uptime', '200ms'],
      env: { PORT: String(port) },
    })
    await rollUnderLoad(t, supervisor, { port })
  })
}

const packaged: [program: string, args: (file: string, port: string) => string[]][] = [
  ['http-server', (file, port) => [file, '-p', port, '-a', '127.0.0.1', '-s']],
  ['json-server', (file, port) => [join(file, 'db.json'), '--port', port, '--host', '127.0.0.1', '--quiet']],
]
for (const [program, args] of packaged) {
  t.test(`${program}, unchanged: no request fails in rolling restarts`, needsTool('apps'), async (t) => {
    const folder = t.testdir({ 'db.json': '{ "posts": [{ "id": 1 }] }' })
    writeFileSync(join(folder, 'posts'), '[]')
    const port = await freePort()
    const supervisor = startSupervisor(t, {
      args: [
        toolCommand('apps', program),
        '--workers',
        '2',
        '--name',
        program,
        '--',
        ...args(folder, String(port)),
      ],
    })
    await rollUnderLoad(t, supervisor, { port, path: '/posts', clients: { slow: 0, slowReused: 0 } })
  })
}
