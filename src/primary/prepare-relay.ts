// What a relay needs before its first worker is forked: places to listen on, and a folder for its spools that is nobody
// else's. Here it is found out whether they can be had, so that a start that cannot work says so and ends.
// The unix socket: src/shared/relay-socket.ts. The files of a spool: src/relay/spool.

import { mkdirSync, realpathSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { installId } from '../lease/install-id.js'
import { hasKernelLock, takeKernelLock } from '../lease/kernel-lock.js'
import { errnoOf } from '../shared/config-file.js'
import { ForksafeError } from '../shared/errors.js'
import { showListen } from '../shared/relay-role.js'
import type { RelayListen, RelaySettings } from '../shared/relay-settings.js'
import { prepareSocket } from '../shared/relay-socket.js'
import { ensureSpoolFolder, spoolRefused } from '../shared/spool-folder.js'

/** In the folder of the spools; no upstream is called so. */
const LOCK_FOLDER = '.lock'

/**
 * To be called with the supervisor's name taken and its leftover workers ended.
 *
 * @returns the function that gives the spools back.
 * @throws FORKSAFE_ERR_RELAY_SOCKET, FORKSAFE_ERR_RELAY_SPOOL with the remedy.
 */
export const prepareRelay = async ({ listen, group, spool }: RelaySettings): Promise<() => unknown> => {
  ensureSpoolFolder(spool)
  const release = await lockSpools(spool)
  try {
    for (const each of listen) {
      if (each.kind === 'unix') await prepareSocket(each.path, group)
      else await tryToListen(each)
    }
    return release
  } catch (error) {
    await release()
    throw error
  }
}

/**
 * The relay of a release that takes over from another: where it listens, how many workers it has and where messages are
 * kept are decided at the start.
 *
 * @param tell told of each of these that would be another one.
 */
export const keepRelay = (
  started: RelaySettings | undefined,
  next: RelaySettings | undefined,
  tell: (text: string) => void,
): RelaySettings | undefined => {
  const stays = (what: string): void =>
    tell(`${what} as it is: it is decided at the start; stop and start it`)
  if (started === undefined || next === undefined) {
    if (started !== next) stays(`relay stays ${started === undefined ? 'out' : 'in'}`)
    return started
  }
  const fixed = {
    listen: started.listen,
    group: started.group,
    spool: started.spool,
    workers: started.workers,
  }
  for (const [key, value] of Object.entries(fixed)) {
    if (JSON.stringify(Reflect.get(next, key)) !== JSON.stringify(value)) stays(`relay.${key} stays`)
  }
  return { ...next, ...fixed }
}

/** Two relays would send what the other has accepted. */
const lockSpools = async (spool: string): Promise<() => unknown> => {
  if (!hasKernelLock()) return () => {}
  const folder = join(spool, LOCK_FOLDER)
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const release = await takeKernelLock(`relay spools ${realpathSync(spool)}`, installId(folder))
  if (release === null)
    throw spoolRefused(spool, 'is used by another relay that runs; stop that one, or choose another folder')
  return release
}

const tryToListen = (listen: Extract<RelayListen, { kind: 'tcp' }>): Promise<void> =>
  new Promise((resolve, reject) => {
    const server = createServer()
    server.on('error', (error) => {
      const errno = errnoOf(error)
      const why =
        errno === 'EADDRINUSE'
          ? 'another program listens there; stop that one, or choose another port'
          : errno === 'EACCES'
            ? 'this user may not listen on a port below 1024; choose a higher one'
            : `nobody can listen there (${errno}); choose another address`
      reject(
        new ForksafeError('FORKSAFE_ERR_RELAY_SOCKET', `relay ${showListen(listen)}: ${why}`, {
          details: { listen: showListen(listen) },
        }),
      )
    })
    server.listen({ host: listen.host, port: listen.port, exclusive: true }, () =>
      server.close(() => resolve()),
    )
  })
