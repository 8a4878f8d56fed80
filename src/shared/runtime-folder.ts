// Where a user's supervisors keep socket, record and lock: a folder that nobody else can write to or look into.
// Never a shared temporary folder: somebody else could have put something there first.

import { userInfo } from 'node:os'
import { isAbsolute, join } from 'node:path'
import { show } from './duration.js'
import { ForksafeError } from './errors.js'
import { checkPrivateFolder, ensurePrivateFolder, type FolderWords } from './private-folder.js'

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
export const ensureRuntimeFolder = (folder: string): void => ensurePrivateFolder(folder, WORDS)

/**
 * @returns false when there is no such folder, so that nothing can be running in it.
 * @throws FORKSAFE_ERR_RUNTIME_FOLDER when somebody else could read, change or replace what is in it.
 */
export const checkRuntimeFolder = (folder: string, uid = process.getuid?.()): boolean =>
  checkPrivateFolder(folder, WORDS, uid)

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

const WORDS: FolderWords = { refuse: refused, choose: (what) => `set FORKSAFE_HOME to ${what}` }
