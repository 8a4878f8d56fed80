// What follows when the process that started us, and kept an IPC channel to us, goes away: pm2's daemon or any other parent
// that forked. Nobody is left who could stop us, and the next one of its kind starts a second supervisor.

import { isUnderPm2 } from '../shared/pm2-variables.js'
import { type ProcessIdentity, processIdentity } from '../shared/process-identity.js'
import type { Settings } from '../shared/settings.js'

/** Kept from the beginning: later it may be gone already, and then nothing would tell. */
const HAD_CHANNEL = process.connected === true
const PARENT = HAD_CHANNEL ? processIdentity(process.ppid) : null

type Policy = Settings['onParentExit']

/** The process whose end is ours too; null where there is none. */
export const parentThatEndsUs = (policy: Policy): ProcessIdentity | null =>
  policy === 'drain' ? PARENT : null

/** Calls `stop` once when the parent is gone, at once where it is gone already. Returns the function that stops listening. */
export const listenToParentExit = (policy: Policy, stop: (reason: string) => void): (() => void) => {
  if (!HAD_CHANNEL || policy === 'stay') return () => {}
  const onDisconnect = (): void => stop(`${isUnderPm2() ? 'pm2' : 'the parent process'} is gone`)
  if (!process.connected) {
    onDisconnect()
    return () => {}
  }
  process.once('disconnect', onDisconnect)
  return () => void process.removeListener('disconnect', onDisconnect)
}
