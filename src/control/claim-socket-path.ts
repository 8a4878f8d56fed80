// Makes room for the control socket: what a killed predecessor left is removed, what is anything else is not touched.

import type { Stats } from 'node:fs'
import { claimSocket } from '../shared/claim-socket.js'
import { ForksafeError } from '../shared/errors.js'

/**
 * Settles when nothing is at the path. To be called with the name's lock held, so that nobody else claims it meanwhile.
 *
 * @throws FORKSAFE_ERR_NAME_RUNNING: a process listens there.
 * @throws FORKSAFE_ERR_RUNTIME_FOLDER: something that is not a socket of this user lies there.
 */
export const claimSocketPath = (path: string, name: string): Promise<void> =>
  claimSocket(path, {
    occupied: (stat) => occupied(path, whatLies(stat)),
    listening: () => nameRunning(path, name),
  })

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

const whatLies = (stat: Stats): string => {
  if (stat.isSymbolicLink()) return 'is a symlink'
  if (stat.isDirectory()) return 'is a folder'
  return stat.isSocket() ? `belongs to user ${stat.uid}` : 'is a file and not a socket'
}
