import { chmodSync, chownSync, lstatSync, mkdirSync, statSync, symlinkSync } from 'node:fs'

import { join } from 'node:path'
import t, { type Test } from 'tap'
import {
  checkRuntimeFolder,
  ensureRuntimeFolder,
  pathsIn,
  runtimeFolder,
} from '../../src/shared/runtime-folder.js'

const code = 'FORKSAFE_ERR_RUNTIME_FOLDER'
/** Below the fixture folder everything belongs to this user and is closed to others. */
const inside = (t: Test, name: string): string => join(t.testdir(), name)

t.test('the folder is the first that the environment names', async (t) => {
  const all = { FORKSAFE_HOME: '/a', XDG_RUNTIME_DIR: '/b', HOME: '/c' }
  t.equal(runtimeFolder(all, 5), '/a')
  t.equal(runtimeFolder({ ...all, FORKSAFE_HOME: '' }, 5), '/b/forksafe')
  t.equal(runtimeFolder({ HOME: '/c' }, 5), '/c/.forksafe')
  t.equal(runtimeFolder({ HOME: '/c' }, 0), '/run/forksafe')
  t.equal(
    runtimeFolder({ FORKSAFE_HOME: '/a/b//../c//' }, 5),
    '/a/c',
    'a slash at the end would follow a symlink',
  )
  t.notMatch(runtimeFolder({}, 5), /tmp/)
})

t.test('relative folders are refused', async (t) => {
  for (const variable of ['FORKSAFE_HOME', 'XDG_RUNTIME_DIR', 'HOME']) {
    const message = `${variable}: "run" is not an absolute path; write one that begins with /`
    t.throws(() => runtimeFolder({ [variable]: 'run' }, 5), { code, message })
  }
})

t.test('a missing folder is created for this user alone, whatever the umask', async (t) => {
  const folder = inside(t, 'a/b')
  const umask = process.umask(0)
  t.teardown(() => process.umask(umask))
  ensureRuntimeFolder(folder)
  t.equal(process.umask(), 0, 'the umask is as before')
  t.equal(statSync(folder).mode & 0o777, 0o700)
  t.equal(statSync(join(folder, '..')).mode & 0o777, 0o700)
  ensureRuntimeFolder(folder)
  t.equal(checkRuntimeFolder(folder), true)
})

t.test('looking creates nothing', async (t) => {
  const folder = inside(t, 'none')
  t.equal(checkRuntimeFolder(folder), false)
  t.throws(() => lstatSync(folder), { code: 'ENOENT' })
})

t.test('a folder that others could use or swap is refused with the remedy', async (t) => {
  const at = t.testdir({ file: '', real: {}, open: { sub: {} }, theirs: {} })
  for (const name of ['real', 'theirs', 'open/sub']) chmodSync(join(at, name), 0o700)
  symlinkSync('real', join(at, 'link'))
  symlinkSync('nowhere', join(at, 'dangling'))
  const refused = (name: string, why: RegExp): void => {
    const message = new RegExp(`^runtime folder ${join(at, name)}: ${why.source}`)
    t.throws(() => ensureRuntimeFolder(join(at, name)), { code, message }, name)
  }
  refused('link', /is a symlink; set FORKSAFE_HOME/)
  refused('dangling', /is a symlink; set FORKSAFE_HOME/)
  refused('file', /is not a folder; remove it/)
  for (const mode of [0o777, 0o755, 0o770, 0o701]) {
    chmodSync(join(at, 'real'), mode)
    refused(
      'real',
      new RegExp(`is open to others \\(mode 0${mode.toString(8)}\\); run chmod 700 ${join(at, 'real')}`),
    )
  }
  chmodSync(join(at, 'open'), 0o777)
  refused('open/sub', /lies in .*\/open, which everybody may write to/)
  chmodSync(join(at, 'open'), 0o1777)
  t.doesNotThrow(
    () => ensureRuntimeFolder(join(at, 'open/sub')),
    'the sticky bit keeps others from swapping it',
  )
})

t.test('a folder of another owner is refused', async (t) => {
  const folder = inside(t, 'theirs')
  mkdirSync(folder, { mode: 0o700 })
  const self = process.getuid?.() ?? 0
  const message = /belongs to user \d+ and this is user \d+; set FORKSAFE_HOME to a folder of your own/
  t.throws(() => checkRuntimeFolder(folder, self + 1), { code, message })
  if (self === 0) {
    chownSync(folder, 65_534, 65_534)
    t.throws(() => checkRuntimeFolder(folder), { code, message })
    chownSync(folder, 0, 0)
  }
})

t.test('a folder that cannot be created says so', async (t) => {
  const folder = join(t.testdir({ file: '' }), 'file/below')
  t.throws(() => ensureRuntimeFolder(folder), {
    code,
    message: /cannot be looked at \(ENOTDIR\); set FORKSAFE_HOME/,
  })
  t.throws(() => ensureRuntimeFolder('/proc/forksafe'), {
    code,
    message: /cannot be created \(E\w+\); set FORKSAFE_HOME/,
  })
})

t.test('the paths of a name end with what they are', async (t) => {
  t.same(pathsIn('/run/x', 'api'), {
    folder: '/run/x',
    socket: '/run/x/api.sock',
    record: '/run/x/api.json',
    lock: '/run/x/api.lock',
  })
})

t.test('a socket path that is too long is refused with its length', async (t) => {
  const room = 107 - '/api.sock'.length
  t.doesNotThrow(() => pathsIn(`/${'x'.repeat(room - 1)}`, 'api'))
  t.throws(() => pathsIn(`/${'x'.repeat(room)}`, 'api'), {
    code,
    message: /is 108 bytes long and a socket's path may be 107; set FORKSAFE_HOME to a shorter folder/,
  })
  t.throws(() => pathsIn(`/${'ü'.repeat(room / 2)}`, 'api'), { code }, 'bytes count, not characters')
})
