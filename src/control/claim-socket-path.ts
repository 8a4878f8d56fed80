// Makes room for the control socket: what a killed predecessor left is removed, what is anything else is not touched.

import { lstatSync, type Stats, unlinkSync } from 'node:fs'
import { errnoOf } from '../shared/config-file.js'
import { ForksafeError } from '../shared/errors.js'
import { probeSocket } from '../shared/probe-socket.js'

/**
 * Settles when nothing is at the path. To be called with the name's lock held, so that nobody else claims it meanwhile.
 *
 * @throws FORKSAFE_ERR_NAME_RUNNING: a process listens there.
 * @throws FORKSAFE_ERR_RUNTIME_FOLDER: something that is not a socket of this user lies there.
 */
export const claimSocketPath = async (path: string, name: string): Promise<void> => {
  const stat = lstatOf(path)
  if (stat === null) return
  if (stat.isSymbolicLink()) throw occupied(path, 'is a symlink')
  if (!stat.isSocket())
    throw occupied(path, stat.isDirectory() ? 'is a folder' : 'is a file and not a socket')
  const uid = process.getuid?.()
  if (uid !== undefined && stat.uid !== uid) throw occupied(path, `belongs to user ${stat.uid}`)
  if ((await probeSocket(path)) === 'listening') throw nameRunning(path, name)
  unlinkSync(path)
}

export const nameRunning = (path: string, name: string): ForksafeError =>
  new ForksafeError(
    'FORKSAFE_ERR_NAME_RUNNING',
    `name ${name}: a supervisor of this name listens on ${path}; stop it with 'supervisor stop --name ${name}', or choose another --name`,
    { details: { name, socket: path } },
  )

const occupied = (path: string, what: string): ForksafeError =>
  new ForksafeError(
    'FORKSAFE_ERR_RUNTIME_FOLDER',
    `control socket ${path}: ${what}; remove it and start again`,
    {
      details: { socket: path },
    },
  )

const lstatOf = (path: string): Stats | null => {
  try {
    return lstatSync(path)
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return null
    throw error
  }
}
