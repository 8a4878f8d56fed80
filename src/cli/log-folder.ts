// Where a detached supervisor's log lies when nobody named a file.

import { mkdirSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'

export interface LogPaths {
  log: string
  /** What the process writes past its log. */
  errors: string
}

/**
 * `$FORKSAFE_HOME/logs`, else `$XDG_STATE_HOME/forksafe`, else `/var/log/forksafe` for root, else
 * `~/.local/state/forksafe`. Not the runtime folder otherwise: that may lie in memory and goes with the next boot.
 */
export const logPaths = (name: string, env: NodeJS.ProcessEnv, uid = process.getuid?.()): LogPaths => {
  const folder = folderOf(env, uid)
  return { log: join(folder, `${name}.log`), errors: join(folder, `${name}.err.log`) }
}

const folderOf = (env: NodeJS.ProcessEnv, uid: number | undefined): string => {
  if (env.FORKSAFE_HOME) return join(env.FORKSAFE_HOME, 'logs')
  if (env.XDG_STATE_HOME) return join(env.XDG_STATE_HOME, 'forksafe')
  if (uid === 0) return '/var/log/forksafe'
  return join(env.HOME || homedir(), '.local', 'state', 'forksafe')
}

/** Creates it, for this user alone. */
export const ensureLogFolder = (folder: string): void =>
  void mkdirSync(folder, { recursive: true, mode: 0o700 })
