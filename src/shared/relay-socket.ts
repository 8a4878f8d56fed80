// The unix socket of a relay: where it is by default, the folder that only its owner and one group get into, and who may
// write to it. The primary prepares the folder before the first fork; whoever has listened then opens the socket to the
// group. Who listens: src/relay/ingress. Who looks for it: src/relay/find-relay.ts.

import { chmodSync, chownSync, lstatSync, readdirSync, type Stats } from 'node:fs'
import { userInfo } from 'node:os'
import { basename, dirname, isAbsolute, join, normalize } from 'node:path'
import { checkOwnSocket, claimSocket, type SocketWords } from './claim-socket.js'
import { errnoOf } from './config-file.js'
import { ForksafeError } from './errors.js'
import { type FolderWords, makePrivateFolder } from './private-folder.js'
import type { RelaySettings } from './relay-settings.js'

type Group = RelaySettings['group']

/** Of the default folders: one of this name may be given to a group, because it is there for nothing else. */
const FOLDER_NAME = 'forksafe-relay'
/** What sun_path holds on Linux, less the NUL. On macOS and the BSDs it is 103. */
const MAX_SOCKET_PATH = process.platform === 'linux' ? 107 : 103
const SYSTEM_SOCKETS = join('/run', FOLDER_NAME)

/**
 * `/run/forksafe-relay/NAME.sock` for root, else `$XDG_RUNTIME_DIR/forksafe-relay/NAME.sock`, else
 * `~/.forksafe-relay/NAME.sock`. Looks at nothing on disk.
 */
export const defaultRelaySocket = (
  name: string,
  env: NodeJS.ProcessEnv = process.env,
  uid = process.getuid?.(),
): string => {
  if (uid === 0) return systemRelaySocket(name)
  if (env.XDG_RUNTIME_DIR && isAbsolute(env.XDG_RUNTIME_DIR))
    return join(env.XDG_RUNTIME_DIR, FOLDER_NAME, `${name}.sock`)
  return join(homeOf(env), `.${FOLDER_NAME}`, `${name}.sock`)
}

/** Where root's relay of that name listens. */
export const systemRelaySocket = (name: string): string => join(SYSTEM_SOCKETS, `${name}.sock`)

const homeOf = (env: NodeJS.ProcessEnv): string =>
  env.HOME && isAbsolute(env.HOME) ? env.HOME : userInfo().homedir

/**
 * Makes room for the socket: makes the folder if it is missing, checks it, lets the group into it, and removes a socket
 * that nobody listens on any more. To be called before anybody listens, by one process.
 *
 * A folder that was there before is given to the group only where it bears our name; any other is somebody's, and is
 * refused where the group does not get into it.
 *
 * @param group null: the socket is for this user and its primary group.
 * @throws FORKSAFE_ERR_RELAY_SOCKET with the remedy; also when somebody listens there.
 */
export const prepareSocket = async (path: string, group: Group): Promise<void> => {
  checkPath(path)
  const folder = dirname(path)
  const isNew = makePrivateFolder(folder, wordsFor(path))
  checkFolder(folder, path)
  if (isNew || isOurs(folder)) openFolderTo(folder, path, group)
  else if (group !== null) checkEntry(folder, path, group)
  await claimSocket(path, socketWords(path))
}

/**
 * Lets owner and group write to the socket, and nobody else (0660). To be called each time that somebody has listened on it.
 *
 * @throws FORKSAFE_ERR_RELAY_SOCKET when it is no socket of this user, or the group cannot be given.
 */
export const openSocketTo = async (path: string, group: Group): Promise<void> => {
  const stat = lstatOf(path, path)
  if (stat === null) throw refused(path, 'has gone; somebody has removed it')
  checkOwnSocket(stat, socketWords(path))
  giveTo(path, path, group)
  chmodSync(path, 0o660)
}

const checkPath = (path: string): void => {
  if (!isAbsolute(path) || path.includes('\0') || path.endsWith('/') || normalize(path) !== path) {
    throw refused(path, 'is not a plain absolute path; write one that begins with / and has no . or .. in it')
  }
  const length = Buffer.byteLength(path)
  if (length > MAX_SOCKET_PATH) {
    throw refused(
      path,
      `is ${length} bytes long and a socket's path may be ${MAX_SOCKET_PATH}; choose a shorter one with --listen unix:PATH`,
    )
  }
}

const wordsFor = (path: string): FolderWords => ({
  refuse: (_folder, why) => refused(path, `its folder ${why}`),
  choose: () => 'choose another one with --listen unix:PATH',
})

/** Nobody but this user and root may change what is in it, or put another folder in its place. */
const checkFolder = (folder: string, path: string): void => {
  const stat = lstatOf(folder, path)
  if (stat === null) throw refused(path, `its folder ${folder} has gone`)
  if (stat.isSymbolicLink())
    throw refused(path, `its folder ${folder} is a symlink; name the folder that it leads to`)
  if (!stat.isDirectory()) throw refused(path, `${folder} is not a folder; remove it or choose another path`)
  const uid = process.getuid?.()
  if (uid !== undefined && stat.uid !== uid) {
    throw refused(
      path,
      `its folder ${folder} belongs to user ${stat.uid} and this is user ${uid}; choose a folder of your own`,
    )
  }
  if ((stat.mode & 0o022) !== 0) {
    throw refused(path, `others may write to its folder ${folder} (${modeOf(stat)}); run chmod 750 ${folder}`)
  }
  for (let at = dirname(folder); ; at = dirname(at)) {
    checkParent(at, path, uid)
    if (at === dirname(at)) return
  }
}

const checkParent = (parent: string, path: string, uid: number | undefined): void => {
  const stat = lstatOf(parent, path)
  if (stat === null) throw refused(path, `${parent} has gone`)
  if (stat.isSymbolicLink()) {
    // Of the system, such as /var/run, or the user's own; anybody else's could lead elsewhere in a moment.
    if (stat.uid === 0 || stat.uid === uid) return
    throw refused(path, `${parent} is a symlink of user ${stat.uid}; choose a path without it`)
  }
  const isOpen = (stat.mode & 0o002) !== 0 && (stat.mode & 0o1000) === 0
  if (isOpen)
    throw refused(path, `lies in ${parent}, which everybody may write to; choose a folder elsewhere`)
}

const isOurs = (folder: string): boolean =>
  basename(folder) === FOLDER_NAME || basename(folder) === `.${FOLDER_NAME}`

/** The group may go in and look, and change nothing. */
const openFolderTo = (folder: string, path: string, group: Group): void => {
  const stat = lstatOf(folder, path)
  const gid = group?.gid ?? process.getgid?.()
  if (stat === null || gid === undefined) return
  if (stat.gid !== gid && (stat.mode & 0o010) !== 0 && hasOtherSockets(folder, path)) {
    throw refused(
      path,
      `its folder ${folder} is open to group ${stat.gid} for another relay; use the same group, or a folder of its own with --listen unix:PATH`,
    )
  }
  giveTo(folder, path, group)
  chmodSync(folder, 0o750)
}

const hasOtherSockets = (folder: string, path: string): boolean =>
  readdirSync(folder).some((name) => name.endsWith('.sock') && name !== basename(path))

const checkEntry = (folder: string, path: string, group: NonNullable<Group>): void => {
  const stat = lstatOf(folder, path)
  if (stat === null) return
  const mayEnter = stat.gid === group.gid ? (stat.mode & 0o010) !== 0 : (stat.mode & 0o001) !== 0
  if (mayEnter) return
  throw refused(
    path,
    `group ${group.name} does not get into its folder ${folder} (${modeOf(stat)}, group ${stat.gid}); run chgrp ${group.name} ${folder} && chmod 750 ${folder}`,
  )
}

const giveTo = (target: string, path: string, group: Group): void => {
  const gid = group?.gid ?? process.getgid?.()
  if (gid === undefined) return
  try {
    chownSync(target, -1, gid)
  } catch (error) {
    throw refused(
      path,
      `${target} cannot be given to group ${group?.name ?? gid} (${errnoOf(error)}); this user has to be a member of it`,
    )
  }
}

const socketWords = (path: string): SocketWords => ({
  occupied: (stat) => refused(path, `${whatLies(stat)}; remove it and start again, or choose another path`),
  listening: () =>
    refused(path, 'a process listens on it; stop that one, or choose another path with --listen unix:PATH'),
})

const whatLies = (stat: Stats): string => {
  if (stat.isSymbolicLink()) return 'is a symlink'
  if (!stat.isSocket()) return `is a ${stat.isDirectory() ? 'folder' : 'file'} and not a socket`
  return `belongs to user ${stat.uid}`
}

const lstatOf = (at: string, path: string): Stats | null => {
  try {
    return lstatSync(at)
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return null
    throw refused(path, `${at} cannot be looked at (${errnoOf(error)}); choose another path`)
  }
}

const modeOf = (stat: Stats): string => `mode ${(stat.mode & 0o777).toString(8).padStart(4, '0')}`

const refused = (path: string, why: string): ForksafeError =>
  new ForksafeError('FORKSAFE_ERR_RELAY_SOCKET', `socket of the relay ${path}: ${why}`, { details: { path } })
