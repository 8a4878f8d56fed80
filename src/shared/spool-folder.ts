// Where a relay keeps its messages: a folder that nobody else can look into, on a disk that is still there after a reboot.
// What is in it is src/relay/spool.

import { userInfo } from 'node:os'
import { isAbsolute, join } from 'node:path'
import { ForksafeError } from './errors.js'
import { ensurePrivateFolder, type FolderWords } from './private-folder.js'

/** `/var/lib/forksafe-relay/NAME` for root, else below `$XDG_STATE_HOME`, else below `~/.local/state`. */
export const defaultSpoolFolder = (
  name: string,
  env: NodeJS.ProcessEnv = process.env,
  uid = process.getuid?.(),
): string => {
  if (uid === 0) return join('/var/lib/forksafe-relay', name)
  const home = env.HOME && isAbsolute(env.HOME) ? env.HOME : userInfo().homedir
  const isNamed = env.XDG_STATE_HOME !== undefined && isAbsolute(env.XDG_STATE_HOME)
  return join(isNamed ? (env.XDG_STATE_HOME ?? '') : join(home, '.local', 'state'), 'forksafe-relay', name)
}

/**
 * Makes it if it is missing, and checks it.
 *
 * @throws FORKSAFE_ERR_RELAY_SPOOL with the remedy.
 */
export const ensureSpoolFolder = (folder: string): void => ensurePrivateFolder(folder, WORDS)

export const spoolRefused = (folder: string, why: string): ForksafeError =>
  new ForksafeError('FORKSAFE_ERR_RELAY_SPOOL', `spool folder ${folder}: ${why}`, { details: { folder } })

const WORDS: FolderWords = { refuse: spoolRefused, choose: (what) => `choose ${what}` }
