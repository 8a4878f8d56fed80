// The pause between two looks of a command with --watch.

import { setTimeout as delay } from 'node:timers/promises'
import type { Call } from './command.js'

/** @returns false when nobody looks any more: Ctrl-C, or whoever read the output has gone. */
export const pauseBeforeNextLook = async ({ screen }: Call, ms: number): Promise<boolean> => {
  try {
    await delay(ms, undefined, { signal: screen.closed })
    return true
  } catch {
    return false
  }
}
