// examples/deploy: what the Dockerfile, the compose file and the Kubernetes manifest say is what the program does.
// Ports, paths and budgets are compared with what it makes of the same environment; commands are run as they are written,
// by an own pid namespace and as another user where that is allowed, but in no image: `FROM` and `RUN` are only read.

import { spawnSync } from 'node:child_process'
import { chownSync, copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { get } from 'node:http'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import t, { type Test } from 'tap'
import { parse, parseAllDocuments } from 'yaml'
import { resolveSettings } from '../../src/shared/resolve-settings.js'
import type { Settings } from '../../src/shared/settings.js'
import { cleanEnv, uninstrumentChildren } from '../support/clean-children.js'
import { eventually } from '../support/deadline.js'
import { freePort } from '../support/free-port.js'
import { describeLoad, startLoad } from '../support/load.js'
import { ContainedSupervisor, needsTini } from '../support/pid-namespace.js'

uninstrumentChildren()

const FOLDER = resolve('examples/deploy')
/** Of the grace period, for what follows when the last worker is gone: the last answers, the last lines. */
const AFTERWARDS = 3_000
/** `node` in the official images. */
const USER = 1000

const read = (file: string): string => readFileSync(join(FOLDER, file), 'utf8')

interface Instruction {
  name: string
  /** What follows, lines put together. */
  text: string
}

const dockerfile: Instruction[] = read('Dockerfile')
  .replace(/^#.*\n/gm, '')
  .replace(/\\\n\s*/g, ' ')
  .split('\n')
  .flatMap((line) => {
    const [, name, text] = /^([A-Z]+) (.+)$/.exec(line) ?? []
    return name === undefined || text === undefined ? [] : [{ name, text }]
  })

const said = (name: string): string =>
  dockerfile.findLast((instruction) => instruction.name === name)?.text ?? `no ${name}`

/** The list form; the other one, with a shell, is not JSON and throws. */
const commandOf = (text: string): string[] => {
  const command: unknown = JSON.parse(text.slice(text.indexOf('[')))
  if (!Array.isArray(command)) throw new Error(`${text} is no list`)
  return command.map(String)
}

const imageEnv = Object.fromEntries(
  said('ENV')
    .split(' ')
    .map((pair) => pair.split('=', 2) as [string, string]),
)

const settingsOf = async (env: NodeJS.ProcessEnv): Promise<Settings> =>
  (await resolveSettings({ env: { ...imageEnv, ...env }, cwd: FOLDER })).settings

const fitsInto = (t: Test, graceMs: number, { shutdownDelay, stopTimeout }: Settings): void => {
  const needed = shutdownDelay + stopTimeout + AFTERWARDS
  t.ok(needed <= graceMs, `a stop may take ${needed} ms and is given ${graceMs} ms`)
}

// --- Read ----------------------------------------------------------------------------------------------------------

t.test('the Dockerfile copies what it starts, and says the same port everywhere', async (t) => {
  const copied = dockerfile
    .filter(({ name }) => name === 'COPY')
    .flatMap(({ text }) => text.split(' ').slice(0, -1))
  t.same(copied.sort(), ['app.js', 'package-lock.json', 'package.json', 'supervisor.config.js'])
  const { script, health, name } = await settingsOf({})
  t.equal(script, join(FOLDER, 'app.js'))
  t.equal(name, 'shop')
  t.equal(said('EXPOSE'), imageEnv.PORT)
  t.match(said('HEALTHCHECK'), `http://127.0.0.1:${health?.port}/readyz`)
  t.equal(health?.host, '127.0.0.1')
  t.equal(said('STOPSIGNAL'), 'SIGTERM')
  const node = /node:(\d+)/.exec(said('FROM'))?.[1]
  const { engines } = JSON.parse(readFileSync('package.json', 'utf8')) as { engines: { node: string } }
  t.match(engines.node, `>=${node}`, 'the oldest Node that is supported')
})

t.test('the compose file publishes that port, and leaves a stop its time', async (t) => {
  const { services } = parse(read('compose.yaml')) as {
    services: {
      shop: { ports: string[]; environment: Record<string, string>; stop_grace_period: string; cpus: number }
    }
  }
  const { ports, environment, stop_grace_period: grace } = services.shop
  t.same(ports, [`127.0.0.1:${imageEnv.PORT}:${said('EXPOSE')}`])
  fitsInto(t, seconds(grace), await settingsOf(environment))
})

interface Probe {
  httpGet: { path: string; port: string }
  periodSeconds: number
}
interface Deployment {
  spec: {
    selector: { matchLabels: Record<string, string> }
    template: {
      metadata: { labels: Record<string, string> }
      spec: {
        terminationGracePeriodSeconds: number
        containers: {
          ports: { name: string; containerPort: number }[]
          env: { name: string; value?: string; valueFrom?: unknown }[]
          livenessProbe: Probe
          readinessProbe: Probe
          securityContext: { runAsUser: number }
        }[]
      }
    }
  }
}
interface Service {
  spec: { selector: Record<string, string>; ports: { targetPort: string }[] }
}

const manifest = (): { deployment: Deployment; service: Service } => {
  const documents = parseAllDocuments(read('kubernetes.yaml'))
  const [deployment, service] = documents.map((document) => {
    if ('errors' in document && document.errors.length > 0) throw document.errors[0]
    return document.toJS() as unknown
  })
  return { deployment: deployment as Deployment, service: service as Service }
}

/** The container, and its environment where the pod has that address. */
const containerAt = (podIp: string) => {
  const { deployment } = manifest()
  const pod = deployment.spec.template.spec
  const [container] = pod.containers
  if (container === undefined) throw new Error('no container')
  const env = Object.fromEntries(
    container.env.map(({ name, value }) => [name, value?.replace('$(POD_IP)', podIp) ?? podIp]),
  )
  const portOf = ({ httpGet }: Probe): number | undefined =>
    container.ports.find(({ name }) => name === httpGet.port)?.containerPort
  return { container, env, portOf, grace: pod.terminationGracePeriodSeconds * 1_000 }
}

t.test('the Kubernetes manifest probes where it is answered, and leaves a stop its time', async (t) => {
  for (const podIp of ['10.1.2.3', 'fd00::12']) {
    const { container, env, portOf, grace } = containerAt(podIp)
    const settings = await settingsOf(env)
    t.same(settings.health, { host: podIp, port: portOf(container.livenessProbe) })
    t.equal(portOf(container.readinessProbe), settings.health?.port)
    t.equal(container.livenessProbe.httpGet.path, '/livez')
    t.equal(container.readinessProbe.httpGet.path, '/readyz')
    fitsInto(t, grace, settings)
    t.ok(
      settings.shutdownDelay >= 2 * container.readinessProbe.periodSeconds * 1_000,
      'a probe falls into the delay, whenever it begins',
    )
    t.equal(container.securityContext.runAsUser, USER)
    t.equal(container.ports.find(({ name }) => name === 'http')?.containerPort, Number(imageEnv.PORT))
  }
  const { deployment, service } = manifest()
  t.same(service.spec.selector, deployment.spec.selector.matchLabels)
  t.same(service.spec.selector, deployment.spec.template.metadata.labels)
  t.same(
    service.spec.ports.map(({ targetPort }) => targetPort),
    ['http'],
  )
})

t.test('what the page shows of these files is in them', async (t) => {
  const page = readFileSync('docs/containers.md', 'utf8')
  const blocks = [...page.matchAll(/```(dockerfile|yaml)\n([\s\S]*?)```/g)]
  t.ok(blocks.length >= 2)
  const files = ['Dockerfile', 'compose.yaml', 'kubernetes.yaml'].map(withoutIndent)
  for (const [, , block = ''] of blocks) {
    const lines = withoutIndent(block, block)
    t.ok(
      files.some((file) => file.includes(lines)),
      `in one of them: ${lines.split('\n', 1)}`,
    )
  }
})

const withoutIndent = (file: string, text: unknown): string =>
  (typeof text === 'string' ? text : read(file)).replace(/^ +/gm, '').trim()

const seconds = (text: string): number => {
  const [, number] = /^(\d+)s$/.exec(text) ?? []
  if (number === undefined) throw new Error(`${text} is not in seconds`)
  return Number(number) * 1_000
}

// --- Run -----------------------------------------------------------------------------------------------------------

const asUser = ['setpriv', `--reuid=${USER}`, `--regid=${USER}`, '--clear-groups']
const succeeds = ([command = '', ...args]: string[]): boolean =>
  spawnSync(command, args, { env: cleanEnv(), timeout: 30_000 }).status === 0

/** A clone below somebody's home cannot be read by others; then it runs as whoever runs the tests. */
const user = succeeds([...asUser, 'test', '-r', resolve('package.json')]) ? asUser : []

interface Container {
  contained: ContainedSupervisor
  port: number
  health: number
}

/** What the Dockerfile makes of the folder, without an image. Ports are free ones. */
const runImage = async (t: Test, env: NodeJS.ProcessEnv = {}): Promise<Container> => {
  const root = mkdtempSync(join(tmpdir(), 'forksafe-image-'))
  t.teardown(() => rmSync(root, { recursive: true, force: true }))
  const [app, home] = [join(root, 'app'), join(root, 'home')]
  for (const folder of [app, home, join(app, 'node_modules/.bin')]) mkdirSync(folder, { recursive: true })
  if (user.length > 0) for (const folder of [root, app, home]) chownSync(folder, USER, USER)
  for (const file of ['app.js', 'supervisor.config.js']) copyFileSync(join(FOLDER, file), join(app, file))
  // What `npm ci` would bring.
  symlinkSync(process.cwd(), join(app, 'node_modules/forksafe'))
  symlinkSync(resolve('bin/supervisor.js'), join(app, 'node_modules/.bin/supervisor'))
  const [port, health] = [await freePort(), await freePort()]
  const contained = new ContainedSupervisor(t, {
    init: [...user, ...commandOf(said('ENTRYPOINT'))],
    command: commandOf(said('CMD')),
    cwd: app,
    home: join(home, '.forksafe'),
    env: {
      ...imageEnv,
      ...Object.fromEntries(
        Object.entries(env).map(([name, value]) => [name, value?.replace(':8081', `:${health}`)]),
      ),
      ...(env.FORKSAFE_HEALTH === undefined ? { FORKSAFE_HEALTH: String(health) } : {}),
      HOME: home,
      HOST: '127.0.0.1',
      PORT: String(port),
      FORKSAFE_WORKERS: '2',
    },
  })
  await contained.outer.waitForLine(/worker 0 ready/)
  await contained.outer.waitForLine(/worker 1 ready/)
  return { contained, port, health }
}

const statusOf = (port: number, path: string): Promise<number> =>
  new Promise((resolve) => {
    get({ host: '127.0.0.1', port, path, agent: false, timeout: 2_000 }, (response) => {
      response.resume()
      resolve(response.statusCode ?? 0)
    }).on('error', () => resolve(0))
  })

t.test('started as the Dockerfile says it is healthy, and docker stop ends it', needsTini(), async (t) => {
  const { contained, port, health } = await runImage(t)
  t.equal(await statusOf(port, '/'), 200)
  const [node = '', ...check] = commandOf(said('HEALTHCHECK'))
  const isHealthy = (): boolean =>
    succeeds([node, ...check.map((arg) => arg.replace(`:${imageEnv.FORKSAFE_HEALTH}/`, `:${health}/`))])
  t.equal(isHealthy(), true)
  t.notOk(
    contained.outer.lines.some((line) => /PID 1/.test(line)),
    'tini is the init that the warning asks for',
  )
  await contained.signal('SIGTERM')
  t.same(await contained.outer.leavesNothing(), { code: 0, signal: null })
  t.equal(isHealthy(), false)
})

t.test(
  'as the manifest says, requests that go on arriving in the delay are answered, and the probes tell',
  needsTini(),
  async (t) => {
    const { container, env, grace } = containerAt('127.0.0.1')
    const { livenessProbe, readinessProbe } = container
    const { contained, port, health } = await runImage(t, env)
    t.equal(await statusOf(health, livenessProbe.httpGet.path), 200)
    t.equal(await statusOf(health, readinessProbe.httpGet.path), 200)
    const load = startLoad({ port, clients: { keepalive: 4, close: 4, slow: 2, slowReused: 2 } })
    t.teardown(() => load.stop())
    await load.finished(200)
    const began = performance.now()
    await contained.signal('SIGTERM')
    await eventually(
      () => statusOf(health, readinessProbe.httpGet.path),
      (status) => status === 503,
      { what: '/readyz to be 503' },
    )
    t.equal(await statusOf(health, livenessProbe.httpGet.path), 200, 'nobody restarts what drains')
    // Somebody who looks once a period sends his traffic elsewhere only then.
    await eventually(
      () => performance.now() - began,
      (ms) => ms > readinessProbe.periodSeconds * 1_000,
      { what: 'the next probe' },
    )
    const result = await load.stop()
    t.equal(result.failed, 0, describeLoad(result))
    t.equal((await contained.outer.leavesNothing({ timeout: grace })).code, 0)
    const { shutdownDelay } = await settingsOf(env)
    const took = performance.now() - began
    t.ok(took >= shutdownDelay && took < grace, `after ${Math.round(took)} ms`)
  },
)
