// The last moment of a process, whoever owns it: process.exit(), an uncaught error, or nothing left to do.
// Nothing here changes whether, when or with which code it ends.

import { resourcesNewestFirst } from './resources.js'

/** Writes a Close frame on each client when the process exits. Returns the function that undoes it. */
export const closeResourcesOnExit = (): (() => void) => {
  const close = (): void => {
    for (const resource of resourcesNewestFirst()) resource.closeSync()
  }
  process.on('exit', close)
  return () => void process.removeListener('exit', close)
}
