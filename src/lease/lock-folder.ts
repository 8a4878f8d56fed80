// The one file that knows proper-lockfile: a folder that one process at a time can make, refreshed by a timer for as
// long as it is held. It never takes over what is there: who is gone, and what follows, is record-taking.ts.
//
// Loading that library hooks process.emit, process.reallyExit, process.cwd and the signals that end a process, and
// makes it remove every lock at exit without asking whose it is. All of that is undone in the turn in which it is loaded.

import { mkdirSync, rmdirSync, statSync, utimesSync } from 'node:fs'
import { createRequire } from 'node:module'
import { errnoOf } from '../shared/config-file.js'
import { messageOf } from '../shared/errors.js'

type Library = typeof import('proper-lockfile')

/** How often a held folder is refreshed (ms); the library takes no less. */
const REFRESH = 1_000
/** No folder is ever too old: two who find one that is can both take it over (issue 121 of the library). */
const NEVER = Number.POSITIVE_INFINITY

export interface LockFolder {
  /** Synchronous. A folder that somebody removed is given back all the same. */
  release(): void
}

export interface LockFolderWatch {
  /** When a refresh that worked had begun, as `performance.now()`; the making counts as the first. */
  onRefreshed?: (began: number) => void
  /** The folder is gone, or somebody else touched it: it is not refreshed any more. */
  onCompromised: (why: string) => void
  /** After so many ms without a refresh a folder that is there is taken over. Default: never. */
  stale?: number
}

/**
 * Makes the folder, synchronously; null when there is one.
 *
 * @throws what mkdir(2), utimes(2) and stat(2) can; then there is none.
 */
export const takeLockFolder = (path: string, watch: LockFolderWatch): LockFolder | null => {
  const { lockSync } = library()
  const removal = { isAllowed: true }
  let isReleased = false
  takes += 1
  try {
    const release = lockSync(`${path}#${takes}`, {
      lockfilePath: path,
      realpath: false,
      stale: watch.stale ?? NEVER,
      update: REFRESH,
      fs: fileSystem(watch.onRefreshed, removal),
      onCompromised: (error) => {
        if (!isReleased) watch.onCompromised(messageOf(error))
      },
    })
    removal.isAllowed = false
    return {
      release: () => {
        if (isReleased) return
        isReleased = true
        removal.isAllowed = true
        try {
          release()
        } catch {}
      },
    }
  } catch (error) {
    if (errnoOf(error) === 'ELOCKED') return null
    throw error
  }
}

/** Loads the library, so that the first folder is made fast. */
export const prepareLockFolder = (): void => {
  library()
}

/** The library keeps its books by a name that must not come twice: a path can, when its folder was taken away. */
let takes = 0
let loaded: Library | undefined

/**
 * Its calls are synchronous: they take microseconds, and never wait for a thread behind slow DNS look-ups.
 *
 * @param removal keeps the library from removing at exit what this process holds: its sockets live longer.
 */
const fileSystem = (
  onRefreshed: LockFolderWatch['onRefreshed'],
  removal: { isAllowed: boolean },
): object => ({
  mkdirSync: (path: string) => mkdirSync(path, { mode: 0o700 }),
  statSync,
  rmdirSync: (path: string) => {
    if (removal.isAllowed) rmdirSync(path)
  },
  utimesSync: (path: string, accessed: Date, modified: Date) => {
    const began = performance.now()
    utimesSync(path, accessed, modified)
    onRefreshed?.(began)
  },
})

const library = (): Library => {
  loaded ??= load()
  return loaded
}

/** Required, not imported: nothing else of the program runs between the hooks and their removal. */
const load = (): Library => {
  const require = createRequire(import.meta.url)
  const { emit } = process
  const restore = rememberProcess(['emit', 'reallyExit', 'cwd', 'chdir'])
  const lockfile: Library = require('proper-lockfile')
  if (process.emit !== emit) {
    // Takes its listeners off the signals, and itself out of the count that other copies of it keep of them.
    createRequire(require.resolve('proper-lockfile'))('signal-exit').unload()
  }
  restore()
  return lockfile
}

/** @returns puts them back as they were: some are inherited, and to be inherited again. */
const rememberProcess = (names: readonly string[]): (() => void) => {
  const before = names.map((name) => Object.getOwnPropertyDescriptor(process, name))
  return () => {
    for (const [at, name] of names.entries()) {
      const descriptor = before[at]
      if (descriptor === undefined) Reflect.deleteProperty(process, name)
      else Object.defineProperty(process, name, descriptor)
    }
  }
}
