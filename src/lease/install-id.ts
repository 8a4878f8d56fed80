// A secret of this user's runtime folder: other users cannot guess, and so not squat, the names of our kernel locks.
// Which names there are is said in kernel-lock.ts; the folder is src/shared/runtime-folder.ts.

import { randomBytes } from 'node:crypto'
import { linkSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { errnoOf } from '../shared/config-file.js'

/**
 * The id that the folder has, made if it has none: random, or the one that it had before somebody removed it. It appears with its content, and the first one stays: a reader never
 * sees an empty file, and no two processes ever read different ids.
 */
export const installId = (folder: string, former?: string): string => {
  const path = join(folder, 'install-id')
  const id = read(path)
  if (id !== null) return id
  const draft = `${path}.${randomBytes(4).toString('hex')}`
  try {
    writeFileSync(draft, former ?? randomBytes(16).toString('hex'), { flag: 'wx', mode: 0o600 })
    // Unlike a rename it does not overwrite.
    linkSync(draft, path)
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST') throw error
  } finally {
    rmSync(draft, { force: true })
  }
  return readFileSync(path, 'utf8')
}

const read = (path: string): string | null => {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return null
    throw error
  }
}
