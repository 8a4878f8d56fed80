// This project, by its command line. Rolled by its command, or by a signal as the hand-written primary is: a signal costs
// no process.
import { join } from 'node:path'
import { launch, run } from '../kit/launch.js'
import { APP } from '../kit/service.js'

const COMMAND = 'bin/supervisor.js'

/**
 * @param {{ name?: string, app?: string, env?: NodeJS.ProcessEnv, flags?: string[], rollBy?: 'signal' | 'command', nodeArgs?: string[] }} [options]
 *   `nodeArgs`: of the primary alone.
 * @returns {import('../kit/service.js').Target}
 */
export const supervisor = ({
  name = 'supervisor',
  app = APP,
  env: own = {},
  flags = [],
  rollBy = 'command',
  nodeArgs = [],
} = {}) => ({
  name,
  start: async ({ workers, port, folder }) => {
    const env = { ...own, FORKSAFE_HOME: join(folder, 'run'), PORT: String(port) }
    const startedAt = performance.now()
    const { pid, end } = launch(
      [...nodeArgs, COMMAND, 'start', app, '--workers', String(workers), ...flags],
      { ...env, PROBE_FILE: probeFile(folder) },
    )
    return {
      startedAt,
      primary: () => pid,
      roll: async () => (rollBy === 'signal' ? process.kill(pid, 'SIGUSR2') : run([COMMAND, 'reload'], env)),
      list: () => run([COMMAND, 'status'], env),
      handOff: (slot) => run([COMMAND, 'handoff', 'feed', '--to', String(slot)], env),
      end,
    }
  },
})

/** Where bench/peers/probe.js, if it is loaded, writes what the primary holds. @param {string} folder */
export const probeFile = (folder) => join(folder, 'probe.json')
