import { execFileSync } from 'node:child_process'
import {
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { claimSocketPath } from '../../src/control/claim-socket-path.js'
import { cleanEnv, uninstrumentChildren } from '../support/clean-children.js'
import { socketFolder } from './socket-folder.js'

uninstrumentChildren()

/** A socket file whose process was killed, so that nobody removed it. */
const leaveStaleSocket = (path: string): void => {
  const code = `require('net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`
  try {
    execFileSync(process.execPath, ['-e', code], { env: cleanEnv(), timeout: 10_000, stdio: 'ignore' })
  } catch {
    // It was killed: that is how it leaves the file.
  }
}

const refused = (t: Test, path: string, why: RegExp): Promise<unknown> =>
  t.rejects(claimSocketPath(path, 'api'), {
    code: 'FORKSAFE_ERR_RUNTIME_FOLDER',
    message: new RegExp(`^control socket ${path}: ${why.source}`),
  })

t.test('a free path is fine', async (t) => {
  await t.resolves(claimSocketPath(join(socketFolder(t), 'api.sock'), 'api'))
})

t.test('a socket that a killed supervisor left is removed', async (t) => {
  const path = join(socketFolder(t), 'api.sock')
  leaveStaleSocket(path)
  t.ok(lstatSync(path).isSocket())
  await claimSocketPath(path, 'api')
  t.notOk(existsSync(path))
})

t.test('a socket on which somebody listens is left alone', async (t) => {
  const path = join(socketFolder(t), 'api.sock')
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(path, resolve))
  t.teardown(() => server.close())
  await t.rejects(claimSocketPath(path, 'api'), {
    code: 'FORKSAFE_ERR_NAME_RUNNING',
    message: /^name api: a supervisor of this name listens on .*; stop it with/,
  })
  t.ok(existsSync(path))
})

t.test('a file, a folder and a symlink are left alone and named', async (t) => {
  const folder = socketFolder(t)
  const at = (name: string): string => join(folder, name)
  writeFileSync(at('file'), 'precious')
  mkdirSync(at('folder'))
  symlinkSync('file', at('link'))
  symlinkSync('nowhere', at('dangling'))
  await refused(t, at('file'), /is a file and not a socket; remove it and start again/)
  await refused(t, at('folder'), /is a folder; remove it/)
  await refused(t, at('link'), /is a symlink; remove it/)
  await refused(t, at('dangling'), /is a symlink; remove it/)
  t.equal(readFileSync(at('file'), 'utf8'), 'precious')
  t.ok(lstatSync(at('dangling')).isSymbolicLink())
})

t.test('a symlink to a stale socket is left alone, and so is the socket', async (t) => {
  const folder = socketFolder(t)
  leaveStaleSocket(join(folder, 'real.sock'))
  symlinkSync('real.sock', join(folder, 'api.sock'))
  await refused(t, join(folder, 'api.sock'), /is a symlink/)
  t.ok(existsSync(join(folder, 'real.sock')))
})

t.test(
  'a socket of another user is left alone',
  { skip: process.getuid?.() !== 0 && 'needs root' },
  async (t) => {
    const path = join(socketFolder(t), 'api.sock')
    leaveStaleSocket(path)
    chownSync(path, 65_534, 65_534)
    await refused(t, path, /belongs to user 65534; remove it/)
    t.ok(existsSync(path))
  },
)
