// What all targets have in common, so that each measure is written once. The targets: bench/targets.

/**
 * A program that runs an app as a cluster.
 *
 * @typedef {object} Target
 * @property {string} name As the tables show it.
 * @property {(options: StartOptions) => Promise<Service>} start
 */

/**
 * @typedef {object} StartOptions
 * @property {number} workers
 * @property {number} port Where the app is to listen.
 * @property {string} folder For what the target writes; empty.
 */

/** @typedef {Pick<StartOptions, 'port' | 'folder'>} Place */

/**
 * @typedef {object} Service
 * @property {number} startedAt `performance.now()` just before the command that starts it.
 * @property {() => number} primary Its pid; only once a worker has answered.
 * @property {() => Promise<unknown>} roll Gives the order to roll; settles when the command has ended.
 * @property {(() => Promise<unknown>) | null} list The command that shows what runs; null where there is none.
 * @property {(slot: number) => Promise<unknown>} [handOff] The command that hands the client `feed` to the worker of a slot.
 * @property {() => Promise<void>} end Settles when nothing is left.
 */

import { freePort } from './answers.js'
import { inFolder } from './launch.js'

/** The app of all targets: answers its pid, or later with `/slow?ms=300`. Knows nothing of who runs it. */
export const APP = 'test/process/fixtures/plain-http.js'

/**
 * Starts a target, uses it and ends it.
 *
 * @template T
 * @param {Target} target @param {number} workers @param {(service: Service & Place) => Promise<T>} use
 */
export function withService(target, workers, use) {
  return inFolder(async (folder) => {
    const port = await freePort()
    const service = await target.start({ workers, port, folder })
    try {
      return await use({ ...service, port, folder })
    } finally {
      await service.end()
    }
  })
}
