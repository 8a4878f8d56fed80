// What is still said when the process ends by an uncaught error, process.exit() or because nothing is left to do.
// Nothing here changes whether, when or with which code it ends.

import { resourcesNewestFirst } from '../shared/resources.js'

/** Writes a Close frame on each client when the process exits. Returns the function that undoes it. */
export const closeClientsOnExit = (): (() => void) => {
  const close = (): void => {
    for (const resource of resourcesNewestFirst()) resource.closeSync()
  }
  process.on('exit', close)
  return () => void process.removeListener('exit', close)
}

/** Characters of a stack that are reported; the protocol takes 8192. */
const MOST_TEXT = 8_000

/** Calls `report` with the stack of an uncaught error that is about to end the process. */
export const reportUncaught = (report: (text: string) => void): void => {
  process.on('uncaughtExceptionMonitor', (error: unknown) => {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error)
    report(text.slice(0, MOST_TEXT))
  })
}
