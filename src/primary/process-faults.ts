// What happens when something is thrown in the primary and nobody catches it, where the process is the supervisor's
// alone (`supervisor start`): it is said, and the workers are stopped in order. In a program of somebody else's
// (supervise()) the program's own rules hold.

import { messageOf } from '../shared/errors.js'

export interface FaultActions {
  warn(text: string): void
  /** An orderly stop; the exit code must say that it was not asked for. */
  stop(reason: string): void
}

/** Returns the function that removes the handler. */
export const installFaultHandler = ({ warn, stop }: FaultActions): (() => void) => {
  const onUncaught = (error: unknown): void => {
    // Where the channel of a worker could not be guarded (guard-ipc.ts), what a worker writes there arrives here.
    if (isFromIpcChannel(error))
      return warn(`a worker wrote something that is not a message: ${messageOf(error)}`)
    warn(
      `uncaught error in the primary: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`,
    )
    stop('uncaught error in the primary')
  }
  process.on('uncaughtException', onUncaught)
  return () => {
    process.removeListener('uncaughtException', onUncaught)
  }
}

const isFromIpcChannel = (error: unknown): boolean =>
  error instanceof SyntaxError && error.stack?.includes('node:internal/child_process') === true
