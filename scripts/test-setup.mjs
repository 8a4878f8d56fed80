// Runs before the tests: brings what they need beyond `npm ci`. It changes nothing outside tools/ except the Debian
// packages below, and those only with CI=true or FORKSAFE_TEST_INSTALL=1, as root.
//
// tools/apps (frameworks and packaged programs), tools/nodes (another version of Node), tools/pm2 and tools/pm2-old (older majors) have their own lock
// files and are never dependencies of the package. Where they cannot be brought, one line says so and the tests that need them skip themselves by name.
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, statSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/** Debian packages that tests need, each with the file that shows it is there. @type {{ name: string, file: string }[]} */
const DEBIAN_PACKAGES = [
  { name: 'openssl', file: '/usr/bin/openssl' },
  { name: 'redis-server', file: '/usr/bin/redis-server' },
  { name: 'python3-websockets', file: '/usr/lib/python3/dist-packages/websockets/__init__.py' },
  { name: 'python3-aiohttp', file: '/usr/lib/python3/dist-packages/aiohttp/__init__.py' },
  { name: 'python3-tornado', file: '/usr/lib/python3/dist-packages/tornado/__init__.py' },
  { name: 'libmojolicious-perl', file: '/usr/share/perl5/Mojolicious.pm' },
  { name: 'nginx-light', file: '/usr/sbin/nginx' },
  { name: 'php8.2-cli', file: '/usr/bin/php8.2' },
  { name: 'php8.2-fpm', file: '/usr/sbin/php-fpm8.2' },
  { name: 'strace', file: '/usr/bin/strace' },
  { name: 'libfaketime', file: '/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1' },
  { name: 'systemd', file: '/usr/bin/systemd-notify' },
  { name: 'haproxy', file: '/usr/sbin/haproxy' },
  { name: 'tini', file: '/usr/bin/tini' },
  { name: 'iproute2', file: '/usr/bin/ss' },
  { name: 'lsof', file: '/usr/bin/lsof' },
]
const INSTALL_TIMEOUT = 4 * 60_000

const root = fileURLToPath(new URL('..', import.meta.url))

for (const tool of ['apps', 'nodes', 'pm2', 'pm2-old']) installTool(tool)
installDebianPackages()

/** @param {string} tool */
function installTool(tool) {
  const folder = `${root}tools/${tool}`
  if (isInstalled(folder)) return
  console.log(`installing tools/${tool} (for tests only)`)
  const npm = spawnSync('npm', ['ci', '--silent', '--no-progress'], {
    cwd: folder,
    encoding: 'utf8',
    timeout: INSTALL_TIMEOUT,
    env: environmentOfOwnNpm(),
  })
  if (npm.status === 0 && isInstalled(folder)) return
  const why = npm.error?.message ?? firstLine(npm.stderr) ?? `npm ci ended with ${npm.signal ?? npm.status}`
  console.log(
    `tools/${tool} is missing (${why}); its tests are skipped. Bring it: npm ci --prefix tools/${tool}`,
  )
}

/** npm writes its own copy of the lock at the end of an installation: newer than our lock means up to date. @param {string} folder */
function isInstalled(folder) {
  const installed = `${folder}/node_modules/.package-lock.json`
  return (
    existsSync(installed) && statSync(installed).mtimeMs >= statSync(`${folder}/package-lock.json`).mtimeMs
  )
}

/** `npm test` passes its own settings down as npm_*: `npm ci` in another folder must not take them for its own. */
function environmentOfOwnNpm() {
  return Object.fromEntries(
    Object.entries(process.env).filter(
      ([name]) => !/^npm_(package|lifecycle|command|config_local_prefix)/.test(name),
    ),
  )
}

function installDebianPackages() {
  const missing = DEBIAN_PACKAGES.filter(({ file }) => !existsSync(file)).map(({ name }) => name)
  if (missing.length === 0) return
  const remedy = `apt-get install -y ${missing.join(' ')}`
  const isAsked = process.env.CI === 'true' || process.env.FORKSAFE_TEST_INSTALL === '1'
  if (!isAsked || process.getuid?.() !== 0 || !isDebian()) {
    console.log(`${missing.join(', ')} missing; tests that need them are skipped. Bring them: ${remedy}`)
    return
  }
  console.log(`installing ${missing.join(', ')} (for tests only)`)
  // RUNLEVEL=1 keeps Debian's packages from starting the services they bring.
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' }
  const options = /** @type {const} */ ({ env, encoding: 'utf8', timeout: INSTALL_TIMEOUT })
  spawnSync('apt-get', ['update', '-qq'], options)
  const apt = spawnSync('apt-get', ['install', '-y', '-qq', '--no-install-recommends', ...missing], options)
  if (apt.status !== 0)
    console.log(`${remedy} failed (${firstLine(apt.stderr) ?? apt.signal}); tests that need them are skipped`)
}

function isDebian() {
  return (
    existsSync('/etc/os-release') && /^ID(_LIKE)?=.*\bdebian\b/m.test(readFileSync('/etc/os-release', 'utf8'))
  )
}

/** @param {string | undefined} text */
function firstLine(text) {
  return text?.split('\n').find((line) => /\S/.test(line) && !/npm warn/.test(line))
}
