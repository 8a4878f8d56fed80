// A primary with everything around it: its name, its control socket, its signals, its service manager, its end.
// `supervisor start` and supervise() (supervise.ts) are its two callers.

import { refuseInheritedConnections } from '../fork/inherited-sockets.js'
import { missingInit } from '../manager/first-process.js'
import { fitToKillTimeout } from '../manager/kill-timeout.js'
import { listenToParentExit, parentThatEndsUs } from '../manager/parent-exit.js'
import { assertPrimary, explainSecondInstance, listenToPm2, sayReadyToPm2 } from '../manager/pm2.js'
import { warnWithoutPs } from '../manager/pm2-tree.js'
import { connectToSystemd, type Systemd } from '../manager/systemd.js'
import { LogBuffer } from '../observe/log-buffer.js'
import { openOutput } from '../observe/open-output.js'
import { Redactor } from '../observe/redactor.js'
import { endLeftoverWorkers } from '../primary/leftover-workers.js'
import { takeName } from '../primary/name-lock.js'
import { keepRelay, prepareRelay } from '../primary/prepare-relay.js'
import { installFaultHandler } from '../primary/process-faults.js'
import {
  type RunRecord,
  readRunRecord,
  removeRunDrafts,
  removeRunRecord,
  writeRunRecord,
} from '../primary/run-record.js'
import { installSignals, signalEchoOf } from '../primary/signals.js'
import { Supervisor, startConcurrency } from '../primary/supervisor.js'
import { closeResourcesOnExit } from '../shared/close-on-exit.js'
import { closeInOrder } from '../shared/closing-order.js'
import { messageOf } from '../shared/errors.js'
import { healthUrl } from '../shared/health-address.js'
import { processIdentity } from '../shared/process-identity.js'
import { takeOverProcess } from '../shared/process-owner.js'
import type { OperationResult } from '../shared/progress.js'
import { relaySecrets, relaysBeside } from '../shared/relay-role.js'
import { type Resource, resourcesNewestFirst } from '../shared/resources.js'
import { ensureRuntimeFolder, runtimePaths } from '../shared/runtime-folder.js'
import { onSecrets } from '../shared/secrets.js'
import type { Settings } from '../shared/settings.js'
import { VERSION } from '../shared/version.js'
import { serveHealth } from './health-server.js'
import { serveControl } from './server.js'

export interface StartOptions {
  settings: Settings
  /** Finds out what script and configuration name now; called for each rolling restart. */
  resolve: () => Promise<Settings>
  /** Whether signals of this process are the supervisor's: then it has to end when the supervisor has. */
  signals: boolean
  /** Whether the process is the supervisor's alone: then what nobody catches stops it in order. */
  ownsProcess: boolean
  /** Whether lines go to stdout and stderr, besides the log file. Default true. */
  toStreams?: boolean
  /** Told when signals are the supervisor's from now on. */
  onSignalsTaken?: () => void
}

export interface Started {
  supervisor: Supervisor
  /** Settles when nothing is left: no worker, no upstream connection of the primary, no socket file, no lock. */
  ended: Promise<OperationResult>
}

/** How long clients of the primary may take to close when it stops, beyond which they are terminated. */
const PRIMARY_CLIENTS_CLOSE = 2_000

/**
 * Starts it and returns as soon as it can be asked for its status; workers may still be starting.
 *
 * @throws FORKSAFE_ERR_NOT_PRIMARY, FORKSAFE_ERR_INHERITED_SOCKET, FORKSAFE_ERR_RUNTIME_FOLDER, FORKSAFE_ERR_NAME_RUNNING.
 */
export const startSupervisor = async ({
  settings,
  resolve,
  signals,
  ownsProcess,
  toStreams = true,
  onSignalsTaken = () => {},
}: StartOptions): Promise<Started> => {
  assertPrimary()
  if (settings.forkGuard === 'strict') await refuseInheritedConnections()
  const paths = runtimePaths(settings.name)
  ensureRuntimeFolder(paths.folder)
  const logs = new LogBuffer()
  const redactor = new Redactor()
  redactor.add(secretsIn(settings), 'named')
  const output = await openOutput(settings, { buffer: logs, redactor, toStreams })
  const warn = (text: string): void =>
    output.write({ at: Date.now(), source: 'supervisor', stream: 'stderr', level: 'warn', text })

  // Undone in reverse order, whether the start fails half-way or the supervisor ends.
  const undo: (() => unknown)[] = []
  const undoAll = async (): Promise<void> => {
    for (const step of undo.splice(0).reverse()) await step()
  }
  const onExit = (): void => output.endSync()
  process.on('exit', onExit)
  undo.push(() => process.removeListener('exit', onExit))
  undo.push(() => output.end())
  const systemd = connectToSystemd(warn)
  undo.push(() => systemd.end())
  undo.push(onSecrets((values) => redactor.add(values, 'told')))
  try {
    systemd.starting(startBudget(settings))
    const onLost = (reason: string): void => warn(`the lock of this name was lost: ${reason}`)
    undo.push(
      await takeName(settings.name, paths, onLost, ({ pid }) =>
        warn(`waits for supervisor ${pid} to be gone`),
      ).catch((error: unknown) => {
        throw explainSecondInstance(error)
      }),
    )
    await endLeftovers(paths.record, warn)
    const initIsMissing = missingInit()
    if (initIsMissing !== null) warn(initIsMissing)
    undo.push(() => removeRunRecord(paths.record))
    if (settings.relay !== undefined) undo.push(await prepareRelay(settings.relay))
    const self = {
      ...processIdentity(process.pid),
      parent: signals ? parentThatEndsUs(settings.onParentExit) : null,
    }
    const fitted = fitToKillTimeout(settings, warn)
    warnWithoutPs(warn)
    const keepRecord = recordKeeper(paths.record, warn)
    const supervisor = new Supervisor({
      settings: fitted,
      resolve: async () => {
        const next = fitToKillTimeout(await resolve(), () => {})
        if (addressOf(next) !== addressOf(settings))
          warn(
            `health stays as it is (${addressOf(settings)}): it is decided at the start; stop and start it`,
          )
        redactor.add(secretsIn(next), 'named')
        const { relay: _changed, ...others } = next
        const relay = keepRelay(settings.relay, next.relay, warn)
        return relay === undefined ? others : { ...others, relay }
      },
      output,
      logs,
      onRunChanged: ({ state, pids, goneBy }) =>
        keepRecord({ ...self, name: settings.name, state, goneBy, workers: pids.map(processIdentity) }),
    })
    tellSystemd(systemd, supervisor)
    undo.push(takeOverProcess('primary'), closeResourcesOnExit())
    // Closed after everything else: whoever probes sees "not ready" to the end, and never a refused connection before it.
    if (settings.health !== undefined) {
      const health = await serveHealth(settings.health, () => supervisor.readiness)
      undo.push(() => health.close())
    }
    const identity = { name: settings.name, pid: process.pid, version: VERSION }
    const control = await serveControl({ socketPath: paths.socket, supervisor, identity })
    undo.push(() => control.close())
    // Never undone: the process ends with the supervisor, and a signal that comes when everything is being put away must
    // neither cut that short nor change the exit code.
    if (signals) {
      installSignals(actionsOf(supervisor), {
        onTerminal: isOnTerminal(),
        echoWithin: signalEchoOf(process.env),
      })
      onSignalsTaken()
    }
    let isFaulty = false
    const onFault = (reason: string): void => {
      isFaulty = true
      void supervisor.stop({ reason })
    }
    if (ownsProcess) undo.push(installFaultHandler({ warn, stop: onFault }))
    const stop = (reason: string): void => void supervisor.stop({ reason })
    undo.push(listenToPm2({ stop, reload: () => supervisor.reload() }))
    const clientsClosed = clientsClosedWith(supervisor, Math.min(PRIMARY_CLIENTS_CLOSE, fitted.stopTimeout))
    void supervisor.started.then((started) => {
      if (started) sayReadyToPm2()
    })
    supervisor.start()
    // Behind the start: a parent that is gone already stops it at once, and a stop before the start nobody would hear of.
    if (signals) undo.push(listenToParentExit(settings.onParentExit, stop))
    const ended = supervisor.ended.then(async (result) => {
      await clientsClosed
      systemd.ended(result.message)
      await undoAll()
      return isFaulty ? { ...result, ok: false, exitCode: 1 } : result
    })
    return { supervisor, ended }
  } catch (error) {
    systemd.ended(`not started: ${redactor.text(messageOf(error))}`)
    await undoAll()
    throw error
  }
}

const actionsOf = (supervisor: Supervisor) => ({
  stop: (reason: string, repeated: boolean): void => void supervisor.stop({ reason, repeated }),
  reload: (): void => void supervisor.reload(),
  scale: (by: 1 | -1): void => void supervisor.scale({ by }),
})

const addressOf = ({ health }: Settings): string => (health === undefined ? 'none' : healthUrl(health))
/** ms in which all workers are ready if each of them needs all of its time: so many start at once. */
const startBudget = (settings: Settings): number =>
  Math.ceil((settings.workers + relaysBeside(settings)) / startConcurrency()) * settings.readyTimeout

const tellSystemd = (systemd: Systemd, supervisor: Supervisor): void => {
  systemd.watch(supervisor)
  supervisor.on('stateChanged', (state) => systemd.moved(state))
  supervisor.on('progress', (progress) => systemd.progress(progress))
}

/** Whether a terminal started this process: closing it must leave no orphan behind. */
const isOnTerminal = (): boolean =>
  [process.stdin, process.stdout, process.stderr].some(({ isTTY }) => isTTY === true)

/** The values of the variables that the configuration calls secret, as the workers and this process see them, and a relay's. */
const secretsIn = ({ secrets, env, relay }: Settings): string[] => [
  ...secrets.flatMap((name) => [env[name] ?? '', process.env[name] ?? '']),
  ...(relay === undefined ? [] : relaySecrets(relay)),
]

/** A record that cannot be written (disk full, folder gone) is a loss for the next start, and no reason to end this one. */
const recordKeeper = (path: string, warn: (text: string) => void): ((record: RunRecord) => void) => {
  let isFailing = false
  return (record) => {
    try {
      writeRunRecord(path, record)
      isFailing = false
    } catch (error) {
      if (!isFailing) warn(`the record of this run cannot be written: ${messageOf(error)}`)
      isFailing = true
    }
  }
}

/** Workers of a supervisor of this name that was killed, and that could not see it go. */
const endLeftovers = async (recordPath: string, warn: (text: string) => void): Promise<void> => {
  removeRunDrafts(recordPath)
  const record = readRunRecord(recordPath)
  if (record === null) return
  const killed = await endLeftoverWorkers(record.workers)
  for (const { pid } of killed) warn(`killed worker ${pid}, left behind by supervisor ${record.pid}`)
}

/** The primary's own clients are closed while the workers drain; settles when they are. */
const clientsClosedWith = (supervisor: Supervisor, limit: number): Promise<unknown> =>
  new Promise((resolve) => {
    supervisor.once('drainBegun', () => {
      const close = (resource: Resource, timeout: number): Promise<void> =>
        resource
          .shutDown({ timeout })
          .catch((error: unknown) => supervisor.log('warn', `${resource.name}: ${messageOf(error)}`))
      resolve(closeInOrder(resourcesNewestFirst(), limit, close))
    })
  })
