// A folder that is one user's alone: made closed to everybody else, and checked before anything in it is trusted. What lies
// in it, and what its errors are called, is the business of who asks: runtime-folder.ts, spool-folder.ts, relay-socket.ts.

import { lstatSync, mkdirSync, realpathSync, type Stats, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { errnoOf } from './config-file.js'

/** How what is wrong is said. */
export interface FolderWords {
  refuse(folder: string, why: string): Error
  /** What to do instead, such as `set FORKSAFE_HOME to ${what}`. */
  choose(what: string): string
}

/**
 * Makes the folder if it is missing, and checks it.
 *
 * @throws what `words` make of it.
 */
export const ensurePrivateFolder = (folder: string, words: FolderWords): void => {
  makePrivateFolder(folder, words)
  checkPrivateFolder(folder, words)
}

/**
 * Makes it, and those above it that are missing, with mode 0700.
 *
 * @returns whether it was missing.
 */
export const makePrivateFolder = (folder: string, words: FolderWords): boolean => {
  const missing = missingOf(folder, words)
  const umask = process.umask(0o077)
  try {
    // Not `recursive`: on file systems that refuse new folders, such as /proc, Node 20 would try for ever.
    for (const each of missing) mkdirSync(each, { mode: 0o700 })
  } catch (error) {
    // Another one that starts now has created it just before; a check says whether it is good.
    if (errnoOf(error) === 'EEXIST') return makePrivateFolder(folder, words)
    const remedy = words.choose('a folder that this user owns')
    throw words.refuse(folder, `cannot be created (${errnoOf(error)}); ${remedy}`)
  } finally {
    process.umask(umask)
  }
  return missing.length > 0
}

/** The folder and those above it that do not exist, the topmost first. */
const missingOf = (folder: string, words: FolderWords): string[] =>
  lookAt(folder, words) !== null ? [] : [...missingOf(dirname(folder), words), folder]

/**
 * @returns false when there is no such folder.
 * @throws what `words` make of it, when somebody else could read, change or replace what is in it.
 */
export const checkPrivateFolder = (folder: string, words: FolderWords, uid = process.getuid?.()): boolean => {
  const stat = lookAt(folder, words)
  if (stat === null) return false
  const wrong = (why: string): Error => words.refuse(folder, why)
  if (stat.isSymbolicLink()) throw wrong(`is a symlink; ${words.choose('the folder that it leads to')}`)
  if (!stat.isDirectory()) throw wrong(`is not a folder; remove it, or ${words.choose('another path')}`)
  if (uid !== undefined && stat.uid !== uid) {
    throw wrong(
      `belongs to user ${stat.uid} and this is user ${uid}; ${words.choose('a folder of your own')}, or run as that user`,
    )
  }
  if ((stat.mode & 0o077) !== 0) {
    const mode = (stat.mode & 0o777).toString(8).padStart(4, '0')
    throw wrong(`is open to others (mode ${mode}); run chmod 700 ${folder}`)
  }
  const open = openParent(folder)
  if (open !== null)
    throw wrong(`lies in ${open}, which everybody may write to; ${words.choose('a folder elsewhere')}`)
  return true
}

/** In a folder that everybody may write to, without the sticky bit, everybody could put another one in our place. */
const openParent = (folder: string): string | null => {
  for (let at = dirname(realpathSync(folder)); ; at = dirname(at)) {
    const { mode } = statSync(at)
    if ((mode & 0o002) !== 0 && (mode & 0o1000) === 0) return at
    if (at === dirname(at)) return null
  }
}

const lookAt = (path: string, words: FolderWords): Stats | null => {
  try {
    return lstatSync(path)
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return null
    const remedy = words.choose('a folder that this user owns')
    throw words.refuse(path, `cannot be looked at (${errnoOf(error)}); ${remedy}`)
  }
}
