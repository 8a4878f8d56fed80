// start --detach: the same command once more, in a session of its own, without this terminal. Here it is started, watched
// until its workers are ready, and told to stop if they do not become so: a failed start leaves nothing behind.

import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, existsSync, openSync, readFileSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { ControlClient } from '../control/client.js'
import { formatDuration } from '../shared/duration.js'
import { ForksafeError } from '../shared/errors.js'
import type { OperationResult, Progress } from '../shared/progress.js'
import { pathsIn, runtimeFolder } from '../shared/runtime-folder.js'
import type { Settings } from '../shared/settings.js'
import { VERSION } from '../shared/version.js'
import { ensureLogFolder } from './log-folder.js'

export interface Detaching {
  /** argv of the process that shall be detached, without node. */
  argv: readonly string[]
  settings: Settings
  /** Where goes what the process writes past its log: the last words of Node itself. */
  errorFile: string
  env: NodeJS.ProcessEnv
  signal: AbortSignal
  tell: (progress: Progress) => void
}

/** It failed before it could be asked: with this exit code and these words. */
export class DetachedStartError extends Error {
  readonly exitCode: number

  constructor(message: string, exitCode: number) {
    super(message)
    this.exitCode = exitCode
  }
}

/** A slot that failed this often while it was started will not be ready soon. */
const MAX_FAILURES = 3
const SOCKET_POLL = 20
/** Beyond `readyTimeout`: for the process itself to come up. */
const BOOT_TIMEOUT = 15_000

/**
 * Settles when all workers are ready, or when that has been given up and nothing is left.
 *
 * @throws DetachedStartError: it ended before it had a control socket. ForksafeError: it could not be asked.
 */
export const startDetached = async (what: Detaching): Promise<OperationResult & { pid: number }> => {
  const before = existsSync(what.errorFile) ? statSync(what.errorFile).size : 0
  const child = spawnDetached(what)
  const pid = child.pid ?? 0
  const client = await reachable(child, what, before)
  return { ...(await watch(client, what)), pid }
}

const spawnDetached = ({ argv, errorFile, env }: Detaching): ChildProcess => {
  ensureLogFolder(dirname(errorFile))
  const file = openSync(errorFile, 'a', 0o600)
  try {
    const child = spawn(process.execPath, [...process.execArgv, ...argv], {
      detached: true,
      stdio: ['ignore', file, file],
      env,
    })
    child.on('error', () => {})
    child.unref()
    return child
  } finally {
    closeSync(file)
  }
}

/** Waits until it answers on its control socket. */
const reachable = async (child: ChildProcess, what: Detaching, before: number): Promise<ControlClient> => {
  const { name } = what.settings
  const socketPath = pathsIn(runtimeFolder(what.env), name).socket
  const client = new ControlClient({ name, socketPath })
  const deadline = performance.now() + BOOT_TIMEOUT
  while (child.exitCode === null && child.signalCode === null && child.pid !== undefined) {
    try {
      const { pid } = await client.version()
      if (pid === child.pid) return client
    } catch (error) {
      if (!(error instanceof ForksafeError)) throw error
    }
    if (performance.now() > deadline || what.signal.aborted) {
      child.kill('SIGTERM')
      const why = what.signal.aborted ? 'interrupted' : `no answer within ${formatDuration(BOOT_TIMEOUT)}`
      throw new DetachedStartError(`the detached supervisor was stopped: ${why}; see ${what.errorFile}`, 1)
    }
    await delay(SOCKET_POLL)
  }
  throw new DetachedStartError(lastWords(what, before), child.exitCode ?? 1)
}

/** What it complained of past what stood there before, without the prefix that will be put before it again. */
const lastWords = ({ errorFile }: Detaching, before: number): string => {
  const lines = readFileSync(errorFile)
    .toString('utf8', before)
    .split('\n')
    .filter((line) => line.trim() !== '')
  const complaint = lines.findLast((line) => /^supervisor: (?!warning: )/.test(line)) ?? lines.at(-1)
  const words = complaint?.replace(/^supervisor: /, '')
  return words ?? `the detached supervisor ${VERSION} ended without a word; see ${errorFile}`
}

const watch = async (client: ControlClient, what: Detaching): Promise<OperationResult> => {
  const { settings, signal, tell } = what
  const failures = new Map<number, number>()
  let giveUp: (why: string) => void = () => {}
  const givenUp = new Promise<string>((resolve) => {
    giveUp = resolve
  })
  const timer = setTimeout(
    () => giveUp(`not all workers were ready within ${formatDuration(settings.readyTimeout)}`),
    settings.readyTimeout,
  )
  signal.addEventListener('abort', () => giveUp('interrupted'))
  let last = ''
  const started = client.untilStarted((progress) => {
    tell(progress)
    if (progress.event !== 'workerExited' || progress.expected) return
    const count = (failures.get(progress.slot) ?? 0) + 1
    failures.set(progress.slot, count)
    last = `worker ${progress.slot} ${progress.reason}`
    if (count >= MAX_FAILURES) giveUp(`${last} (${count} times)`)
  })
  started.catch(() => {})
  try {
    const outcome = await Promise.race([started, givenUp])
    if (typeof outcome !== 'string') return outcome
    const stopped = await client.stop()
    const why = last === '' || outcome.startsWith(last) ? outcome : `${outcome}; last: ${last}`
    return { ...stopped, ok: false, exitCode: 5, message: `not started, nothing is left running: ${why}` }
  } finally {
    clearTimeout(timer)
  }
}
