// Which supervisors of this user run, and which of them is meant when none is named.

import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { ForksafeError } from '../shared/errors.js'
import { probeSocket } from '../shared/probe-socket.js'
import { checkRuntimeFolder, pathsIn } from '../shared/runtime-folder.js'
import { isName } from '../shared/supervisor-name.js'
import type { ControlTarget } from './http-exchange.js'

const ENDING = '.sock'

/** Those with a socket in the folder on which somebody listens, by name. A stopped process counts. */
export const findSupervisors = async (folder: string): Promise<ControlTarget[]> => {
  if (!checkRuntimeFolder(folder)) return []
  const names = readdirSync(folder)
    .filter((file) => file.endsWith(ENDING))
    .map((file) => file.slice(0, -ENDING.length))
    .filter(isName)
    .sort()
  const targets = names.map((name) => ({ name, socketPath: join(folder, name + ENDING) }))
  const states = await Promise.all(targets.map(({ socketPath }) => probeSocket(socketPath)))
  return targets.filter((_target, index) => states[index] === 'listening')
}

/**
 * The supervisor of that name, whether or not it runs; without a name the only one that runs.
 *
 * @throws FORKSAFE_ERR_NOT_RUNNING: none runs. FORKSAFE_ERR_NAME_AMBIGUOUS: several run; the message lists them.
 * @throws FORKSAFE_ERR_RUNTIME_FOLDER: the folder is not safe to use.
 */
export const chooseSupervisor = async (folder: string, name: string | undefined): Promise<ControlTarget> => {
  if (name !== undefined) {
    checkRuntimeFolder(folder)
    return { name, socketPath: pathsIn(folder, name).socket }
  }
  const running = await findSupervisors(folder)
  const [only, ...others] = running
  if (only === undefined) {
    throw new ForksafeError(
      'FORKSAFE_ERR_NOT_RUNNING',
      `no supervisor is running (looked in ${folder}); start one with 'supervisor start app.js'`,
      { details: { folder } },
    )
  }
  if (others.length > 0) {
    const names = running.map((target) => target.name)
    throw new ForksafeError(
      'FORKSAFE_ERR_NAME_AMBIGUOUS',
      `${names.length} supervisors are running: ${names.join(', ')}; name one with --name`,
      { details: { names } },
    )
  }
  return only
}
