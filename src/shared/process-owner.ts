// Who answers for this process as a whole: its signals and its end. At most one of two does: the standalone drain
// (src/worker/standalone.ts) or a primary (src/primary). It lives under a registered symbol, so that two copies of
// the package agree. A supervised worker needs no entry here: there the runtime was first.

interface Slot {
  owner: 'nobody' | 'standalone' | 'primary'
  /** Uninstalls what the present owner has installed. */
  release: () => void
}

const KEY = Symbol.for('forksafe.process.v1')

const slot = (): Slot => {
  const holder = globalThis as { [KEY]?: Slot }
  holder[KEY] ??= { owner: 'nobody', release: () => {} }
  return holder[KEY]
}

/**
 * Makes the caller the owner if nobody is, and tells whether that worked.
 *
 * @param release is called once, when a primary takes over: it must undo everything that the caller has installed.
 */
export const claimProcess = (release: () => void): boolean => {
  const current = slot()
  if (current.owner !== 'nobody') return false
  current.owner = 'standalone'
  current.release = release
  return true
}

/**
 * Makes the process a primary's: the standalone handlers, if any, are uninstalled and stay away.
 * Returns the function that gives the process back.
 */
export const takeOverProcess = (_owner: 'primary'): (() => void) => {
  const current = slot()
  const { release } = current
  current.owner = 'primary'
  current.release = () => {}
  release()
  return () => {
    if (current.owner === 'primary') current.owner = 'nobody'
  }
}
