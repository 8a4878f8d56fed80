import { chmodSync, chownSync, lstatSync, mkdirSync, renameSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { defaultRelaySocket, openSocketTo, prepareSocket } from '../../src/shared/relay-socket.js'
import { defaultSpoolFolder } from '../../src/shared/spool-folder.js'
import { socketFolder } from '../control/socket-folder.js'

const CODE = { code: 'FORKSAFE_ERR_RELAY_SOCKET' }
const IS_ROOT = process.getuid?.() === 0
const OTHER_GROUP = { name: 'others', gid: 12_345 }
const modeOf = (path: string): number => lstatSync(path).mode & 0o777

const listenAt = async (t: Test, path: string): Promise<() => Promise<void>> => {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(path, resolve))
  const close = (): Promise<void> => new Promise((resolve) => void server.close(() => resolve()))
  t.teardown(() => (server.listening ? close() : undefined))
  return close
}

/** A socket file that nobody listens on: the file of one that is closed would be removed. */
const staleAt = async (t: Test, path: string): Promise<void> => {
  const close = await listenAt(t, `${path}.x`)
  renameSync(`${path}.x`, path)
  await close()
}

t.test('the default places of a name', async (t) => {
  const env = { HOME: '/home/me' }
  t.equal(defaultRelaySocket('api', { XDG_RUNTIME_DIR: '/run/user/7' }, 0), '/run/forksafe-relay/api.sock')
  t.equal(
    defaultRelaySocket('api', { XDG_RUNTIME_DIR: '/run/user/7' }, 7),
    '/run/user/7/forksafe-relay/api.sock',
  )
  t.equal(defaultRelaySocket('api', env, 7), '/home/me/.forksafe-relay/api.sock')
  t.equal(
    defaultRelaySocket('api', { ...env, XDG_RUNTIME_DIR: 'run' }, 7),
    '/home/me/.forksafe-relay/api.sock',
  )
  t.equal(defaultSpoolFolder('api', env, 0), '/var/lib/forksafe-relay/api')
  t.equal(defaultSpoolFolder('api', { XDG_STATE_HOME: '/s' }, 7), '/s/forksafe-relay/api')
  t.equal(defaultSpoolFolder('api', env, 7), '/home/me/.local/state/forksafe-relay/api')
})

t.test('a folder that is missing is made, for this user and its group alone', async (t) => {
  const folder = join(socketFolder(t), 'a', 'b')
  const umask = process.umask(0)
  t.teardown(() => process.umask(umask))
  await prepareSocket(join(folder, 'relay.sock'), null)
  t.equal(modeOf(folder), 0o750)
  t.equal(modeOf(join(folder, '..')), 0o700, 'those above it are nobody else’s')
  t.equal(process.umask(), 0, 'the umask is as before')
  await prepareSocket(join(folder, 'relay.sock'), null)
})

t.test('the socket is opened to its owner and the group, whatever the umask', async (t) => {
  for (const mask of [0, 0o777]) {
    const path = join(socketFolder(t), 'forksafe-relay', 'relay.sock')
    await prepareSocket(path, null)
    const umask = process.umask(mask)
    await listenAt(t, path)
    process.umask(umask)
    await openSocketTo(path, null)
    t.equal(modeOf(path), 0o660)
    await openSocketTo(path, null)
  }
})

t.test('folder and socket are given to the group', { skip: !IS_ROOT && 'needs root' }, async (t) => {
  const folder = join(socketFolder(t), 'forksafe-relay')
  const path = join(folder, 'relay.sock')
  await prepareSocket(path, OTHER_GROUP)
  t.match(lstatSync(folder), { gid: OTHER_GROUP.gid })
  await listenAt(t, path)
  await openSocketTo(path, OTHER_GROUP)
  t.match(lstatSync(path), { gid: OTHER_GROUP.gid })
  t.equal(modeOf(path), 0o660)
  const second = join(folder, 'second.sock')
  await t.rejects(prepareSocket(second, null), { ...CODE, message: /open to group 12345 for another relay/ })
  await prepareSocket(second, OTHER_GROUP)
})

t.test('somebody else’s folder is not given away, and refused where the group does not get in', async (t) => {
  const folder = socketFolder(t)
  const path = join(folder, 'relay.sock')
  await prepareSocket(path, null)
  t.equal(modeOf(folder), 0o700)
  await t.rejects(prepareSocket(path, OTHER_GROUP), {
    ...CODE,
    message: /group others does not get into its folder .*chgrp others/,
  })
  chmodSync(folder, 0o755)
  await prepareSocket(path, OTHER_GROUP)
  t.equal(modeOf(folder), 0o755)
})

t.test('a folder in which others could put something is refused', async (t) => {
  const above = socketFolder(t)
  const folder = join(above, 'f')
  const path = join(folder, 'relay.sock')
  mkdirSync(folder)
  for (const mode of [0o770, 0o702, 0o777]) {
    chmodSync(folder, mode)
    await t.rejects(prepareSocket(path, null), { ...CODE, message: /others may write to its folder/ })
  }
  chmodSync(folder, 0o700)
  chmodSync(above, 0o777)
  await t.rejects(prepareSocket(path, null), { ...CODE, message: /which everybody may write to/ })
  chmodSync(above, 0o1777)
  await prepareSocket(path, null)
})

t.test('no symlink is followed', async (t) => {
  const above = socketFolder(t)
  mkdirSync(join(above, 'real'), { mode: 0o700 })
  symlinkSync(join(above, 'real'), join(above, 'link'))
  await t.rejects(prepareSocket(join(above, 'link', 'relay.sock'), null), {
    ...CODE,
    message: /is a symlink/,
  })
  symlinkSync(join(above, 'nowhere'), join(above, 'dangling'))
  await t.rejects(prepareSocket(join(above, 'dangling', 'relay.sock'), null), {
    ...CODE,
    message: /is a symlink/,
  })
  const path = join(above, 'real', 'relay.sock')
  symlinkSync(join(above, 'real', 'other.sock'), path)
  await t.rejects(prepareSocket(path, null), { ...CODE, message: /is a symlink/ })
  await t.rejects(openSocketTo(path, null), { ...CODE, message: /is a symlink/ })
})

t.test('what belongs to another user is refused', { skip: !IS_ROOT && 'needs root' }, async (t) => {
  const above = socketFolder(t)
  const folder = join(above, 'f')
  mkdirSync(folder, { mode: 0o700 })
  const path = join(folder, 'relay.sock')
  await staleAt(t, path)
  chownSync(path, 12_345, 12_345)
  await t.rejects(prepareSocket(path, null), { ...CODE, message: /belongs to user 12345/ })
  await t.rejects(openSocketTo(path, null), { ...CODE, message: /belongs to user 12345/ })
  chownSync(folder, 12_345, 12_345)
  await t.rejects(prepareSocket(path, null), { ...CODE, message: /folder .* belongs to user 12345/ })
})

t.test('what is no socket stays where it is', async (t) => {
  const folder = socketFolder(t)
  const path = join(folder, 'relay.sock')
  writeFileSync(path, 'mine')
  await t.rejects(prepareSocket(path, null), { ...CODE, message: /is a file and not a socket/ })
  await t.rejects(prepareSocket(join(path, 'x.sock'), null), CODE)
  mkdirSync(join(folder, 'd'))
  await t.rejects(prepareSocket(join(folder, 'd'), null), {
    ...CODE,
    message: /is a folder and not a socket/,
  })
  t.equal(lstatSync(path).size, 4)
})

t.test('a socket that nobody listens on is removed, one that somebody listens on is not', async (t) => {
  const path = join(socketFolder(t), 'relay.sock')
  await staleAt(t, path)
  await prepareSocket(path, null)
  t.throws(() => lstatSync(path), { code: 'ENOENT' })
  await listenAt(t, path)
  await t.rejects(prepareSocket(path, null), { ...CODE, message: /a process listens on it/ })
  t.ok(lstatSync(path).isSocket())
})

t.test('a path that is none is refused', async (t) => {
  for (const path of [
    'relay.sock',
    './relay.sock',
    '',
    '/',
    '/a/../b.sock',
    '/a//b.sock',
    '/a/b/',
    '/a\0b',
  ]) {
    await t.rejects(prepareSocket(path, null), { ...CODE, message: /is not a plain absolute path/ }, path)
  }
  await t.rejects(prepareSocket(`/tmp/${'x'.repeat(110)}`, null), { ...CODE, message: /bytes long/ })
  await t.rejects(prepareSocket('/proc/nowhere/relay.sock', null), { ...CODE, message: /cannot be created/ })
})

t.test('a socket that has gone cannot be opened to anybody', async (t) => {
  await t.rejects(openSocketTo(join(socketFolder(t), 'relay.sock'), null), { ...CODE, message: /has gone/ })
})
