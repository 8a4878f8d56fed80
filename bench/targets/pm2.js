// pm2 in cluster mode, with a home of its own, from tools/pm2. It is only run, never imported (AGPL-3.0).
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { killIfThere, ROOT, run, undoOnExit } from '../kit/launch.js'
import { isTry } from '../kit/rounds.js'
import { APP } from '../kit/service.js'

const COMMAND = 'tools/pm2/node_modules/pm2/bin/pm2'

const hasPm2 = existsSync(join(ROOT, COMMAND))

/** The targets, without those of pm2 where it is not installed; then a line says so. @param {import('../kit/service.js').Target[]} targets */
export function installed(targets) {
  if (hasPm2 && !isTry) return targets
  if (!hasPm2) console.log('\npm2 is missing and left out; bring it: npm ci --prefix tools/pm2')
  return targets.filter(({ name }) => !name.startsWith('pm2'))
}

/**
 * @param {{ name?: string, app?: string, env?: NodeJS.ProcessEnv, isDaemonRunning?: boolean }} [options] With `isDaemonRunning` the daemon is there before the
 *   start is timed.
 * @returns {import('../kit/service.js').Target}
 */
export const pm2 = ({ name = 'pm2', app = APP, env: own = {}, isDaemonRunning = false } = {}) => ({
  name,
  start: async ({ workers, port, folder }) => {
    const home = join(folder, 'pm2')
    const env = { ...own, PM2_HOME: home, PM2_DISABLE_VERSION_CHECK: '1', PORT: String(port) }
    // It leaves the group that it was started in, and tells its pid in a file.
    const primary = () => Number(readFileSync(join(home, 'pm2.pid'), 'utf8'))
    const forget = undoOnExit(() => existsSync(join(home, 'pm2.pid')) && killIfThere(primary()))
    if (isDaemonRunning) await run([COMMAND, 'ping'], env)
    const startedAt = performance.now()
    const started = run([COMMAND, 'start', app, '-i', String(workers), '--name', 'app'], env)
    // Whoever measures waits for answers, not for this command; if it fails there are none.
    started.catch((error) => console.error(error.message))
    return {
      startedAt,
      primary,
      roll: () => run([COMMAND, 'reload', 'app'], env),
      list: () => run([COMMAND, 'list'], env),
      end: async () => {
        await started
        await run([COMMAND, 'kill'], env)
        forget()
      },
    }
  },
})
