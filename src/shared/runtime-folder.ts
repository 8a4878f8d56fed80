// Where a user's supervisors keep socket, record and lock: a folder that nobody else can write to or look into.
// Never a shared temporary folder: somebody else could have put something there first.

import { lstatSync, mkdirSync, realpathSync, type Stats, statSync } from 'node:fs'
import { userInfo } from 'node:os'
import { dirname, isAbsolute, join } from 'node:path'
import { errnoOf } from './config-file.js'
import { show } from './duration.js'
import { ForksafeError } from './errors.js'

/** What a supervisor of some name has in the folder. */
export interface RuntimePaths {
  folder: string
  socket: string
  record: string
  lock: string
}

/** What sun_path holds on Linux, less the NUL. On macOS and the BSDs it is 103. */
const MAX_SOCKET_PATH = process.platform === 'linux' ? 107 : 103

/**
 * Which folder it is: `$FORKSAFE_HOME`, else `$XDG_RUNTIME_DIR/forksafe`, else `/run/forksafe` for root, else
 * `~/.forksafe`. Looks at nothing on disk.
 *
 * @throws FORKSAFE_ERR_RUNTIME_FOLDER for a relative path.
 */
export const runtimeFolder = (env: NodeJS.ProcessEnv, uid = process.getuid?.()): string => {
  if (env.FORKSAFE_HOME) return absolute('FORKSAFE_HOME', env.FORKSAFE_HOME)
  if (env.XDG_RUNTIME_DIR) return join(absolute('XDG_RUNTIME_DIR', env.XDG_RUNTIME_DIR), 'forksafe')
  if (uid === 0) return '/run/forksafe'
  return join(absolute('HOME', env.HOME || userInfo().homedir), '.forksafe')
}

/**
 * The paths of a name for the supervisor that is going to use them; the folder is created and checked.
 *
 * @throws FORKSAFE_ERR_RUNTIME_FOLDER: see {@link pathsIn} and {@link ensureRuntimeFolder}.
 */
export const runtimePaths = (name: string, env: NodeJS.ProcessEnv = process.env): RuntimePaths => {
  const paths = pathsIn(runtimeFolder(env), name)
  ensureRuntimeFolder(paths.folder)
  return paths
}

/**
 * The paths of a name. Looks at nothing on disk.
 *
 * @throws FORKSAFE_ERR_RUNTIME_FOLDER when the socket's path is longer than a socket's path may be.
 */
export const pathsIn = (folder: string, name: string): RuntimePaths => {
  const socket = join(folder, `${name}.sock`)
  const length = Buffer.byteLength(socket)
  if (length > MAX_SOCKET_PATH) {
    throw refused(
      folder,
      `${socket} is ${length} bytes long and a socket's path may be ${MAX_SOCKET_PATH}; set FORKSAFE_HOME to a shorter folder`,
    )
  }
  return { folder, socket, record: join(folder, `${name}.json`), lock: join(folder, `${name}.lock`) }
}

/**
 * Creates the folder if it is missing, readable to this user alone, and checks it.
 *
 * @throws FORKSAFE_ERR_RUNTIME_FOLDER with the remedy.
 */
export const ensureRuntimeFolder = (folder: string): void => {
  if (lstatOf(folder) === null) create(folder)
  checkRuntimeFolder(folder)
}

const create = (folder: string): void => {
  const umask = process.umask(0o077)
  try {
    // Not `recursive`: on file systems that refuse new folders, such as /proc, Node 20 would try for ever.
    for (const path of missing(folder)) mkdirSync(path, { mode: 0o700 })
  } catch (error) {
    // Another one that starts now has created it just before; the check says whether it is good.
    if (errnoOf(error) === 'EEXIST') return create(folder)
    throw refused(
      folder,
      `cannot be created (${errnoOf(error)}); set FORKSAFE_HOME to a folder that this user owns`,
    )
  } finally {
    process.umask(umask)
  }
}

/** The folder and those above it that do not exist, the topmost first. */
const missing = (folder: string): string[] =>
  lstatOf(folder) !== null ? [] : [...missing(dirname(folder)), folder]

/**
 * @returns false when there is no such folder, so that nothing can be running in it.
 * @throws FORKSAFE_ERR_RUNTIME_FOLDER when somebody else could read, change or replace what is in it.
 */
export const checkRuntimeFolder = (folder: string, uid = process.getuid?.()): boolean => {
  const stat = lstatOf(folder)
  if (stat === null) return false
  if (stat.isSymbolicLink())
    throw refused(folder, 'is a symlink; set FORKSAFE_HOME to the folder that it leads to')
  if (!stat.isDirectory())
    throw refused(folder, 'is not a folder; remove it, or set FORKSAFE_HOME to another path')
  if (uid !== undefined && stat.uid !== uid) {
    throw refused(
      folder,
      `belongs to user ${stat.uid} and this is user ${uid}; set FORKSAFE_HOME to a folder of your own, or run as that user`,
    )
  }
  if ((stat.mode & 0o077) !== 0) {
    const mode = (stat.mode & 0o777).toString(8).padStart(4, '0')
    throw refused(folder, `is open to others (mode ${mode}); run chmod 700 ${folder}`)
  }
  checkParents(folder)
  return true
}

/** In a folder that everybody may write to, without the sticky bit, everybody could put another one in our place. */
const checkParents = (folder: string): void => {
  for (let at = dirname(realpathSync(folder)); ; at = dirname(at)) {
    const { mode } = statSync(at)
    if ((mode & 0o002) !== 0 && (mode & 0o1000) === 0) {
      throw refused(
        folder,
        `lies in ${at}, which everybody may write to; set FORKSAFE_HOME to a folder elsewhere`,
      )
    }
    if (at === dirname(at)) return
  }
}

const lstatOf = (path: string): Stats | null => {
  try {
    return lstatSync(path)
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return null
    throw refused(
      path,
      `cannot be looked at (${errnoOf(error)}); set FORKSAFE_HOME to a folder that this user owns`,
    )
  }
}

const absolute = (variable: string, value: string): string => {
  if (!isAbsolute(value) || value.includes('\0')) {
    throw new ForksafeError(
      'FORKSAFE_ERR_RUNTIME_FOLDER',
      `${variable}: ${show(value)} is not an absolute path; write one that begins with /`,
      { details: { field: variable, value: show(value) } },
    )
  }
  // Without slashes at the end, which would make lstat follow a symlink.
  return join(value).replace(/(.)\/+$/, '$1')
}

const refused = (folder: string, why: string): ForksafeError =>
  new ForksafeError('FORKSAFE_ERR_RUNTIME_FOLDER', `runtime folder ${folder}: ${why}`, {
    details: { folder },
  })
