// A status as a headline and a table, for people. For programs `--json` prints the status as it is.

import type { LeaseOwner } from '../../shared/lease-provider.js'
import { describeBreach } from '../../shared/limits.js'
import { printable } from '../../shared/printable.js'
import type { ClientReport } from '../../shared/resources.js'
import type { SupervisorStatus, WorkerStatus } from '../../shared/status.js'
import type { Colors } from '../screen.js'
import { formatMemory, formatPercent, formatSeconds, formatUptime } from './figures.js'
import { type Cell, renderTable } from './table.js'

export interface StatusView {
  colors: Colors
  /** Unix time in ms. */
  now: number
}

/** Ends with a line end. */
export const renderStatus = (status: SupervisorStatus, view: StatusView): string => {
  const { colors } = view
  const headline = [
    colors.bold(printable(status.name)),
    paintState(status.state, colors)(printable(status.state)),
    `generation ${status.generation}`,
    `pid ${status.pid}`,
    `up ${formatUptime(view.now - status.startedAt)}`,
    colors.dim(isRelayAlone(status) ? 'relay' : printable(status.script)),
  ].join('  ')
  const columns = COLUMNS.filter((column) => column !== 'role' || hasBoth(status))
  const table = renderTable([
    columns.map((text) => ({ text, paint: colors.dim, isRight: RIGHT.has(text) })),
    ...status.workers.map((worker) => workerRow(worker, columns, view)),
  ])
  const exits = status.workers.flatMap((worker) => lastExitOf(worker, view))
  const breaches = status.workers.flatMap((worker) => breachOf(worker, colors))
  const connects = status.workers.flatMap((worker) => connectsOf(worker, colors))
  const notes = [
    ...breaches,
    ...connects,
    ...exits,
    ...healthOf(status, colors),
    ...relayOf(status, colors),
    ...droppedLines(status, colors),
  ]
  return [headline, '', ...table, ...(notes.length === 0 ? [] : ['', ...notes]), ''].join('\n')
}

/** An older supervisor says nothing of roles, and runs apps. */
export const isRelayAlone = ({ workers }: SupervisorStatus): boolean =>
  workers.length > 0 && workers.every(({ role }) => role === 'relay')

const hasBoth = (status: SupervisorStatus): boolean =>
  !isRelayAlone(status) && status.workers.some(({ role }) => role === 'relay')

const COLUMNS = [
  'slot',
  'role',
  'pid',
  'state',
  'gen',
  'uptime',
  'restarts',
  'cpu',
  'memory',
  'clients',
] as const
const RIGHT: ReadonlySet<string> = new Set(['slot', 'pid', 'gen', 'uptime', 'restarts', 'cpu', 'memory'])

type Column = (typeof COLUMNS)[number]

const workerRow = (worker: WorkerStatus, columns: readonly Column[], { colors, now }: StatusView): Cell[] => {
  const hasProcess = worker.pid !== null
  const { state, nextStartAt } = worker
  const waits = nextStartAt === null ? '' : ` ${formatSeconds(Math.max(0, nextStartAt - now))}`
  const cells: Record<Column, Cell> = {
    slot: { text: String(worker.slot) },
    role: { text: worker.role === 'relay' ? 'relay' : 'app' },
    pid: { text: hasProcess ? String(worker.pid) : '-' },
    state: { text: printable(state) + waits, paint: paintState(state, colors) },
    gen: { text: String(worker.generation) },
    uptime: { text: hasProcess ? formatUptime(worker.uptimeMs) : '-' },
    restarts: { text: String(worker.restarts), ...(worker.restarts > 0 ? { paint: colors.yellow } : {}) },
    cpu: { text: formatPercent(worker.cpuPercent) },
    memory: { text: formatMemory(worker.rssBytes) },
    clients: { text: worker.clients.map(clientText).join(', ') },
  }
  return columns.map((column) => ({ ...cells[column], isRight: RIGHT.has(column) }))
}

const clientText = (report: ClientReport): string => {
  const { kind, name, pending } = report
  const what = kind === 'task' ? ' (work)' : ''
  return `${printable(name)}${what} ${standingOf(report)}${pending > 0 ? ` (${pending} pending)` : ''}`
}

/** An idle one stands in no line, and that a standby waits goes without saying. */
const standingOf = ({ kind, state, role, epoch, owner }: ClientReport): string => {
  const shown = printable(state)
  if (role === 'holder') return kind === 'task' ? shown : `${shown}, holder ${epoch}`
  if (role === 'own' || state === 'idle') return shown
  const standby = owner == null ? 'standby' : `standby for ${ownerText(owner)}`
  return state === 'waiting' ? standby : `${shown}, ${standby}`
}

const ownerText = ({ pid, slot, supervisor, isOurs }: LeaseOwner): string => {
  if (isOurs && slot !== null) return `slot ${slot} (pid ${pid})`
  return supervisor === null ? `pid ${pid}` : `supervisor ${printable(supervisor)} (pid ${pid})`
}

const lastExitOf = ({ slot, lastExit }: WorkerStatus, { colors, now }: StatusView): string[] =>
  lastExit === null
    ? []
    : [
        colors.dim(
          `slot ${slot} last: ${printable(lastExit.reason)} (${formatUptime(now - lastExit.at)} ago)`,
        ),
      ]

/** An older supervisor says nothing of it. */
const healthOf = ({ health }: SupervisorStatus, colors: Colors): string[] =>
  health == null ? [] : [colors.dim(`health at ${printable(health)}/livez and /readyz`)]

/** A supervisor of an older version has none. */
const relayOf = ({ relay }: SupervisorStatus, colors: Colors): string[] =>
  relay == null
    ? []
    : [colors.dim(`relay at ${printable(relay.listen.join(', '))}, spools in ${printable(relay.spool)}`)]

/** A supervisor of an older version tells nothing of it. */
const breachOf = ({ slot, overLimit }: WorkerStatus, colors: Colors): string[] =>
  overLimit == null ? [] : [colors.yellow(`slot ${slot} is to be replaced: ${describeBreach(overLimit)}`)]

/** A supervisor of an older version tells nothing of it. */
const connectsOf = ({ slot, connectsInRequests }: WorkerStatus, colors: Colors): string[] =>
  (connectsInRequests ?? []).map(({ at, url, request, count }) => {
    const place = at === null ? '' : ` at ${printable(at)}`
    return colors.yellow(
      `slot ${slot} dialled ${printable(url)} ${count === 1 ? 'once' : `${count} times`} within a request (${printable(request)})${place}`,
    )
  })

const droppedLines = ({ logs }: SupervisorStatus, colors: Colors): string[] =>
  logs.dropped === 0
    ? []
    : [
        colors.yellow(
          `${logs.dropped} line${logs.dropped === 1 ? '' : 's'} of the log could not be written out`,
        ),
      ]

export const paintState = (state: string, colors: Colors): ((text: string) => string) => {
  switch (state) {
    case 'running':
    case 'ready':
      return colors.green
    case 'exited':
    case 'waiting':
    case 'stopped':
      return colors.red
    default:
      return colors.yellow
  }
}
