// What a relay needs before its first worker is forked: places to listen on, and a folder for its spools that is nobody
// else's. Here it is found out whether they can be had, so that a start that cannot work says so and ends.
// The unix socket: src/shared/relay-socket.ts. The files of a spool: src/relay/spool.

import { lstatSync, mkdirSync, realpathSync, type Stats, statSync } from 'node:fs'
import { createServer } from 'node:net'
import { dirname, join } from 'node:path'
import { installId } from '../lease/install-id.js'
import { hasKernelLock, takeKernelLock } from '../lease/kernel-lock.js'
import { errnoOf } from '../shared/config-file.js'
import { ForksafeError } from '../shared/errors.js'
import { showListen } from '../shared/relay-role.js'
import type { RelayListen, RelaySettings } from '../shared/relay-settings.js'
import { prepareSocket } from '../shared/relay-socket.js'

/** In the folder of the spools; no upstream is called so. */
const LOCK_FOLDER = '.lock'

/**
 * To be called with the supervisor's name taken and its leftover workers ended.
 *
 * @returns the function that gives the spools back.
 * @throws FORKSAFE_ERR_RELAY_SOCKET, FORKSAFE_ERR_RELAY_SPOOL with the remedy.
 */
export const prepareRelay = async ({ listen, group, spool }: RelaySettings): Promise<() => unknown> => {
  ensureSpoolFolder(spool)
  const release = await lockSpools(spool)
  try {
    for (const each of listen) {
      if (each.kind === 'unix') await prepareSocket(each.path, group)
      else await tryToListen(each)
    }
    return release
  } catch (error) {
    await release()
    throw error
  }
}

/**
 * The relay of a release that takes over from another: where it listens, how many workers it has and where messages are
 * kept are decided at the start.
 *
 * @param tell told of each of these that would be another one.
 */
export const keepRelay = (
  started: RelaySettings | undefined,
  next: RelaySettings | undefined,
  tell: (text: string) => void,
): RelaySettings | undefined => {
  const stays = (what: string): void =>
    tell(`${what} as it is: it is decided at the start; stop and start it`)
  if (started === undefined || next === undefined) {
    if (started !== next) stays(`relay stays ${started === undefined ? 'out' : 'in'}`)
    return started
  }
  const fixed = {
    listen: started.listen,
    group: started.group,
    spool: started.spool,
    workers: started.workers,
  }
  for (const [key, value] of Object.entries(fixed)) {
    if (JSON.stringify(Reflect.get(next, key)) !== JSON.stringify(value)) stays(`relay.${key} stays`)
  }
  return { ...next, ...fixed }
}

/** Two relays would send what the other has accepted. */
const lockSpools = async (spool: string): Promise<() => unknown> => {
  if (!hasKernelLock()) return () => {}
  const folder = join(spool, LOCK_FOLDER)
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const release = await takeKernelLock(`relay spools ${realpathSync(spool)}`, installId(folder))
  if (release === null)
    throw refused(spool, 'is used by another relay that runs; stop that one, or choose another folder')
  return release
}

const tryToListen = (listen: Extract<RelayListen, { kind: 'tcp' }>): Promise<void> =>
  new Promise((resolve, reject) => {
    const server = createServer()
    server.on('error', (error) => {
      const errno = errnoOf(error)
      const why =
        errno === 'EADDRINUSE'
          ? 'another program listens there; stop that one, or choose another port'
          : errno === 'EACCES'
            ? 'this user may not listen on a port below 1024; choose a higher one'
            : `nobody can listen there (${errno}); choose another address`
      reject(
        new ForksafeError('FORKSAFE_ERR_RELAY_SOCKET', `relay ${showListen(listen)}: ${why}`, {
          details: { listen: showListen(listen) },
        }),
      )
    })
    server.listen({ host: listen.host, port: listen.port, exclusive: true }, () =>
      server.close(() => resolve()),
    )
  })

const ensureSpoolFolder = (folder: string): void => {
  try {
    const umask = process.umask(0o077)
    try {
      for (const path of missing(folder)) mkdirSync(path, { mode: 0o700 })
    } finally {
      process.umask(umask)
    }
    check(folder)
  } catch (error) {
    if (error instanceof ForksafeError) throw error
    throw refused(folder, `cannot be used (${errnoOf(error)}); choose a folder that this user owns`)
  }
}

/** The folder and those above it that do not exist, the topmost first. */
const missing = (folder: string): string[] =>
  lstatOf(folder) !== null ? [] : [...missing(dirname(folder)), folder]

const check = (folder: string): void => {
  const stat = lstatSync(folder)
  if (stat.isSymbolicLink()) throw refused(folder, 'is a symlink; name the folder that it leads to')
  if (!stat.isDirectory()) throw refused(folder, 'is not a folder; remove it, or choose another one')
  const uid = process.getuid?.()
  if (uid !== undefined && stat.uid !== uid) {
    throw refused(
      folder,
      `belongs to user ${stat.uid} and this is user ${uid}; choose one of your own, or run as that user`,
    )
  }
  if ((stat.mode & 0o077) !== 0) {
    const mode = (stat.mode & 0o777).toString(8).padStart(4, '0')
    throw refused(folder, `is open to others (mode ${mode}); run chmod 700 ${folder}`)
  }
  for (let at = dirname(realpathSync(folder)); ; at = dirname(at)) {
    const { mode } = statSync(at)
    if ((mode & 0o002) !== 0 && (mode & 0o1000) === 0)
      throw refused(folder, `lies in ${at}, which everybody may write to; choose a folder elsewhere`)
    if (at === dirname(at)) return
  }
}

const lstatOf = (path: string): Stats | null => {
  try {
    return lstatSync(path)
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return null
    throw error
  }
}

const refused = (folder: string, why: string): ForksafeError =>
  new ForksafeError('FORKSAFE_ERR_RELAY_SPOOL', `spool folder ${folder}: ${why}`, { details: { folder } })
