// What the primary is told when an uncaught error is about to end this worker. It changes nothing about the end.
// Close frames in the last moment: src/shared/close-on-exit.ts.

/** Characters of a stack that are reported; the protocol takes 8192. */
const MOST_TEXT = 8_000

/** Calls `report` with the stack of an uncaught error that is about to end the process. */
export const reportUncaught = (report: (text: string) => void): void => {
  process.on('uncaughtExceptionMonitor', (error: unknown) => {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error)
    report(text.slice(0, MOST_TEXT))
  })
}
