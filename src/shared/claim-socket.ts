// Makes room for a unix socket: what a killed predecessor left is removed, what is anything else is not touched. What the
// errors are called is the business of who asks: the control socket, and the socket of a relay.

import { lstatSync, type Stats, unlinkSync } from 'node:fs'
import { errnoOf } from './config-file.js'
import { probeSocket } from './probe-socket.js'

export interface SocketWords {
  /** Something that we could not have left lies there. */
  occupied(stat: Stats): Error
  /** A process listens there. */
  listening(): Error
}

/**
 * Settles when nothing is at the path. Nobody else may claim it meanwhile.
 *
 * @throws what `words` make of it.
 */
export const claimSocket = async (path: string, words: SocketWords): Promise<void> => {
  const stat = lstatOf(path)
  if (stat === null) return
  checkOwnSocket(stat, words)
  const state = await probeSocket(path)
  if (state === 'missing') return
  if (state === 'listening') throw words.listening()
  if (state !== 'stale') throw words.occupied(stat)
  unlinkSync(path)
}

/** @throws what `words` make of something that is no socket of this user; a symlink is none, wherever it leads. */
export const checkOwnSocket = (stat: Stats, words: Pick<SocketWords, 'occupied'>): void => {
  const uid = process.getuid?.()
  if (!stat.isSocket() || (uid !== undefined && stat.uid !== uid)) throw words.occupied(stat)
}

const lstatOf = (path: string): Stats | null => {
  try {
    return lstatSync(path)
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return null
    throw error
  }
}
