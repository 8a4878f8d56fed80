import { spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { cleanEnv, uninstrumentChildren } from '../support/clean-children.js'
import { withDeadline } from '../support/deadline.js'
import { CLI, runCli } from '../support/run-cli.js'
import { type SupervisorProcess, startSupervisor } from '../support/supervisor-process.js'

uninstrumentChildren()

/** Says which release it is and what it was told, when it is ready. */
const APP = (release: string): string => `
  const server = require('http').createServer((_, response) => response.end())
  server.listen(0, '127.0.0.1', () => console.log('release ${release} told', process.env.TOLD))
`

/** A folder of releases as deployment tools make them: `current` is a link that moves. */
const deployFolder = (t: Test) => {
  const root = mkdtempSync(join(tmpdir(), 'forksafe-deploy-'))
  t.teardown(() => rmSync(root, { recursive: true, force: true }))
  const at = (...path: string[]): string => join(root, ...path)
  const configure = (text: string): void => writeFileSync(at('supervisor.config.mjs'), text)
  const release = (name: string, source: string): void => {
    mkdirSync(at(name))
    writeFileSync(at(name, 'app.js'), source)
    symlinkSync(name, at('next'))
    renameSync(at('next'), at('current'))
  }
  return { at, configure, release }
}

const CONFIG = (told: string): string =>
  `export default { script: 'current/app.js', name: 'deployed', minUptime: 100, env: { TOLD: '${told}' } }`

const pidsOf = async (supervisor: SupervisorProcess): Promise<(number | null)[]> =>
  (await supervisor.status()).workers.map(({ pid }) => pid)

t.test('a rolling restart finds the new configuration and the new release', async (t) => {
  const { at, configure, release } = deployFolder(t)
  release('v1', APP('1'))
  configure(CONFIG('first'))
  const supervisor = startSupervisor(t, { cwd: at(), env: { PWD: at() } })
  await supervisor.waitUntilReady()
  await supervisor.waitForLine(/release 1 told first/)
  configure(CONFIG('second'))
  release('v2', APP('2'))
  t.match(await supervisor.cli('reload'), { code: 0 })
  await supervisor.waitForLine(/release 2 told second/)
})

t.test('started below a link, it follows the link when that moves', async (t) => {
  const { at, release } = deployFolder(t)
  release('v1', APP('1'))
  const args = ['app.js', '--name', 'linked', '--min-uptime', '100ms']
  const supervisor = startSupervisor(t, { cwd: at('current'), args, env: { PWD: at('current') } })
  await supervisor.waitUntilReady()
  release('v2', APP('2'))
  t.match(await supervisor.cli('reload'), { code: 0 })
  await supervisor.waitForLine(/release 2 told/)
})

t.test('a configuration or script that is broken is found before any worker is touched', async (t) => {
  const { at, configure, release } = deployFolder(t)
  release('v1', APP('1'))
  configure(CONFIG('first'))
  const supervisor = startSupervisor(t, { cwd: at(), env: { PWD: at() } })
  await supervisor.waitUntilReady()
  const before = await pidsOf(supervisor)
  const refused = async (why: RegExp): Promise<void> => {
    const { code, stderr } = await supervisor.cli('reload')
    t.equal(code, 5, stderr)
    t.match(stderr, why)
    t.same(await pidsOf(supervisor), before, 'the workers are the same')
  }
  configure('export default { script: ')
  await refused(/^supervisor: .*supervisor\.config\.mjs:1:\d+: is not valid: /)
  configure('export default { script: "current/app.js", wrkers: 2 }')
  await refused(
    /^supervisor: .*"wrkers" in supervisor\.config\.mjs: is not an option; did you mean workers\?/,
  )
  configure(CONFIG('third').replace('deployed', 'renamed'))
  await refused(/^supervisor: .*name in supervisor\.config\.mjs: "renamed" differs from deployed, which runs/)
  configure(CONFIG('third'))
  release('v2', 'const server = ;')
  await refused(/^supervisor: .*script in supervisor\.config\.mjs: .*current\/app\.js:1: SyntaxError/)
  release('v3', APP('3'))
  t.match(await supervisor.cli('reload'), { code: 0 })
  await supervisor.waitForLine(/release 3 told third/)
})

t.test('a second supervisor of a name is refused with 8, and the first does not notice', async (t) => {
  const { at, configure, release } = deployFolder(t)
  release('v1', APP('1'))
  configure(CONFIG('first'))
  const first = startSupervisor(t, { cwd: at(), env: { PWD: at() } })
  await first.waitUntilReady()
  const before = await pidsOf(first)
  const { code, stderr } = await runCli(['start'], { home: first.home, cwd: at(), env: { PWD: at() } })
  t.equal(code, 8)
  t.match(stderr, /^supervisor: .*deployed.* already running/)
  t.same(await pidsOf(first), before)
})

t.test('logs that are followed end when the supervisor does', async (t) => {
  const { at, configure, release } = deployFolder(t)
  release('v1', APP('1'))
  configure(CONFIG('first'))
  const supervisor = startSupervisor(t, { cwd: at(), env: { PWD: at() } })
  await supervisor.waitUntilReady()
  const follower = spawn(process.execPath, [CLI, 'logs', '-f'], {
    env: cleanEnv({ FORKSAFE_HOME: supervisor.home, NO_COLOR: '1' }),
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  t.teardown(() => follower.kill('SIGKILL'))
  let stdout = ''
  const begun = new Promise<void>((resolve) => {
    follower.stdout.on('data', (piece) => {
      stdout += piece
      resolve()
    })
  })
  const ended = new Promise<number | null>((resolve) => follower.on('close', resolve))
  await withDeadline(begun, { what: 'the first line' })
  t.match(await supervisor.cli('stop'), { code: 0, stdout: /stopped/ })
  t.equal(await withDeadline(ended, { what: 'logs -f to end' }), 0)
  t.match(stdout, /\[0:\d+ g1\] release 1 told first/)
})
