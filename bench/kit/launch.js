// Starts programs in a session of their own and ends them, all of them also when the bench itself is interrupted.
// What is started, and how it is told to roll or to stop, is bench/targets.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const ROOT = fileURLToPath(new URL('../..', import.meta.url))

const END_TIMEOUT = 15_000
/** Characters of stderr that are shown of a program that ended by itself. */
const MOST_COMPLAINTS = 2_000
/** What is undone when the bench is interrupted. @type {Set<() => void>} */
const unfinished = new Set()

for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP'])) {
  process.once(signal, () => process.exit(1))
}
process.on('exit', () => {
  // The last first: a folder goes after the processes that write to it, and that it tells the pids of.
  for (const undo of [...unfinished].reverse()) undo()
})

/** Runs `use` with a folder of its own, that is gone afterwards. @template T @param {(folder: string) => Promise<T>} use */
export async function inFolder(use) {
  const folder = mkdtempSync(join(tmpdir(), 'forksafe-bench-'))
  const remove = () => rmSync(folder, { recursive: true, force: true })
  unfinished.add(remove)
  try {
    return await use(folder)
  } finally {
    unfinished.delete(remove)
    remove()
  }
}

/** Nothing of the shell's environment that could make one run differ from another. @param {NodeJS.ProcessEnv} extra */
const environment = (extra) => ({
  PATH: process.env.PATH,
  HOME: process.env.HOME,
  NO_COLOR: '1',
  ...extra,
})

/**
 * Starts `node ...args` and leaves it running.
 *
 * @param {string[]} args @param {NodeJS.ProcessEnv} env
 */
export function launch(args, env) {
  const child = spawn(process.execPath, args, {
    cwd: ROOT,
    env: environment(env),
    detached: true,
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  const pid = child.pid ?? 0
  let isEnding = false
  let complaints = ''
  child.stderr.setEncoding('utf8').on('data', (/** @type {string} */ text) => {
    complaints = (complaints + text).slice(-MOST_COMPLAINTS)
  })
  child.on('close', (code, signal) => {
    if (!isEnding) console.error(`node ${args.join(' ')} ended with ${signal ?? code}:\n${complaints}`)
  })
  const killGroup = () => killIfThere(-pid)
  unfinished.add(killGroup)
  return {
    pid,
    /** By SIGTERM, by force if that takes too long; settles when it is gone. */
    end: async () => {
      isEnding = true
      if (child.exitCode === null && child.signalCode === null) {
        child.kill('SIGTERM')
        const timer = setTimeout(killGroup, END_TIMEOUT)
        await once(child, 'exit')
        clearTimeout(timer)
      }
      killGroup()
      unfinished.delete(killGroup)
    },
  }
}

/**
 * Runs `node ...args` to its end.
 *
 * @param {string[]} args @param {NodeJS.ProcessEnv} env
 * @throws when its exit code is not 0.
 */
export async function run(args, env) {
  const child = spawn(process.execPath, args, {
    cwd: ROOT,
    env: environment(env),
    stdio: ['ignore', 'ignore', 'inherit'],
    timeout: END_TIMEOUT * 4,
  })
  const forget = undoOnExit(() => child.kill('SIGKILL'))
  const [code, signal] = await once(child, 'exit')
  forget()
  if (code !== 0) throw new Error(`node ${args.join(' ')} ended with ${signal ?? `exit code ${code}`}`)
}

/** To be undone also when the bench is interrupted. @param {() => void} undo @returns {() => void} forgets it again. */
export function undoOnExit(undo) {
  unfinished.add(undo)
  return () => void unfinished.delete(undo)
}

/** @param {number} pid Negative for a process group. */
export function killIfThere(pid) {
  if (pid === 0 || pid === 1 || pid === -1) return
  try {
    process.kill(pid, 'SIGKILL')
  } catch {}
}
