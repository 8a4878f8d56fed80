// One supervisor per name: a kernel-held lock where there is one, and in any case the record of proper-lockfile.
//
// proper-lockfile alone is not enough: two processes that meet a stale lock can both take it (its issue 121), and after
// a kill -9 the next start would have to wait until the lock is stale. With the kernel lock held, a lock folder whose
// recorded owner is dead is known to be left over, and nobody else can be clearing it at the same time.

import { realpathSync, rmSync } from 'node:fs'
import { installId } from '../lease/install-id.js'
import { hasKernelLock, takeKernelLock } from '../lease/kernel-lock.js'
import { type LockFolder, takeLockFolder } from '../lease/lock-folder.js'
import { ForksafeError } from '../shared/errors.js'
import { isAlive } from '../shared/process-identity.js'
import { type RunRecord, readRunRecord } from './run-record.js'

export interface NamePaths {
  folder: string
  lock: string
  record: string
}

/** A lock folder not refreshed for this long is stale (ms); only what has no kernel lock depends on it. */
const STALE = 10_000
const POLL = 50
/** Whose pm2 has just been killed hears of it in a moment, and then says by when it will be gone. */
const HEARS_OF_PARENT = 5_000
/** Whoever holds the name without a record has just taken it, or is just about to give it back. */
const UNKNOWN_OWNER = 1_000

/**
 * Takes the name. While the present owner is stopping, or about to, it waits, until a second after the time that one announced.
 *
 * @returns the function that gives the name back.
 * @throws FORKSAFE_ERR_NAME_RUNNING naming the owner's pid.
 */
export const takeName = async (
  name: string,
  paths: NamePaths,
  onLost: (reason: string) => void,
  onWaiting: (owner: RunRecord) => void = () => {},
): Promise<() => Promise<void>> => {
  let isWaiting = false
  const begun = performance.now()
  let unknownUntil = begun + UNKNOWN_OWNER
  for (;;) {
    const release = await tryTakeName(name, paths, onLost)
    if (release !== null) return release
    const record = readRunRecord(paths.record)
    const owner = record !== null && isAlive(record) ? record : null
    // A stopping owner removes its record just before it gives the name back.
    if (owner !== null) unknownUntil = performance.now() + UNKNOWN_OWNER
    const now = performance.now()
    const isWorthWaiting =
      owner === null
        ? now < unknownUntil
        : isAboutToGo(owner) || (hasLostParent(owner) && now < begun + HEARS_OF_PARENT)
    if (!isWorthWaiting) throw running(name, owner)
    if (owner !== null && !isWaiting) {
      isWaiting = true
      onWaiting(owner)
    }
    await new Promise((resolve) => setTimeout(resolve, POLL))
  }
}

const tryTakeName = async (
  name: string,
  paths: NamePaths,
  onLost: (reason: string) => void,
): Promise<(() => Promise<void>) | null> => {
  const scope = `supervisor ${realpathSync(paths.folder)} ${name}`
  const releaseKernelLock = hasKernelLock()
    ? await takeKernelLock(scope, installId(paths.folder))
    : async () => {}
  if (releaseKernelLock === null) return null
  const lockFolder = tryTakeLockFolder(paths, onLost)
  if (lockFolder === null) {
    await releaseKernelLock()
    return null
  }
  const onExit = (): void => lockFolder.release()
  process.once('exit', onExit)
  return async () => {
    process.off('exit', onExit)
    lockFolder.release()
    await releaseKernelLock()
  }
}

const tryTakeLockFolder = (paths: NamePaths, onLost: (reason: string) => void): LockFolder | null => {
  const take = (): LockFolder | null => takeLockFolder(paths.lock, { stale: STALE, onCompromised: onLost })
  const taken = take()
  if (taken !== null || !hasKernelLock()) return taken
  const owner = readRunRecord(paths.record)
  if (owner !== null && isAlive(owner)) return null
  rmSync(paths.lock, { recursive: true, force: true })
  return take()
}

const isAboutToGo = (owner: RunRecord): boolean => owner.goneBy !== null && Date.now() < owner.goneBy + 1_000

/** pm2 that was started anew (`pm2 resurrect`) starts the next one before this one may have noticed. */
const hasLostParent = ({ parent = null, goneBy }: RunRecord): boolean =>
  goneBy === null && parent !== null && !isAlive(parent)

const running = (name: string, owner: RunRecord | null): ForksafeError => {
  const who = owner === null ? '' : ` (pid ${owner.pid})`
  return new ForksafeError(
    'FORKSAFE_ERR_NAME_RUNNING',
    `a supervisor named ${name} is already running${who}; use 'supervisor reload --name ${name}', or another --name`,
    { details: { name, pid: owner?.pid } },
  )
}
