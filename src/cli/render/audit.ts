// An audit for people: a table of sockets for each process, the endpoints of the tree, then what does not belong and what
// to do. It fits into 80 columns, with ten sockets and with ten thousand. For programs `--json` prints the report as it is.

import type {
  AuditedProcess,
  AuditedSocket,
  AuditReport,
  EndpointRow,
  SocketGroup,
} from '../../audit/audit-report.js'
import { formatSlope } from '../../audit/trend.js'
import type { Finding } from '../../shared/finding.js'
import { printable } from '../../shared/printable.js'
import type { Colors } from '../screen.js'
import { formatUptime } from './figures.js'
import { type Cell, renderTable } from './table.js'
import { shortenMiddle, wrap } from './wrap.js'

export interface AuditView {
  colors: Colors
  columns: number
  /** The first report of a watch: what has changed since then is shown. */
  first: AuditReport | null
  /** Each socket by itself. */
  isVerbose: boolean
}

const NARROWEST = 60
/** Of one process; the others are counted. */
const MOST_GROUPS = 30

/** Ends with a line end. */
export const renderAudit = (report: AuditReport, view: AuditView): string => {
  const columns = Math.max(NARROWEST, view.columns)
  const wide = { ...view, columns }
  return [
    ...headline(report, wide),
    ...report.processes.flatMap((process) => renderProcess(process, wide)),
    ...renderEndpoints(report.endpoints, wide),
    ...renderFindings(report.findings, wide),
    '',
  ].join('\n')
}

const headline = ({ name, processes, source, takenAt }: AuditReport, { colors }: AuditView): string[] => {
  const sockets = processes.reduce((sum, { groups }) => sum + countOf(groups), 0)
  return [
    [
      colors.bold(name === null ? `process ${processes[0]?.pid ?? '?'}` : printable(name)),
      plural(processes.length, 'process', 'processes'),
      plural(sockets, 'socket', 'sockets'),
      colors.dim(
        `from ${source === 'proc' ? '/proc' : 'lsof'} at ${new Date(takenAt).toTimeString().slice(0, 8)}`,
      ),
    ].join('  '),
  ]
}

const renderProcess = (process: AuditedProcess, view: AuditView): string[] => {
  const { colors } = view
  const { problem } = process
  const title = `${colors.bold(titleOf(process))}${problem === null ? '' : `  ${colors.yellow(printable(problem))}`}`
  const rows = view.isVerbose
    ? process.sockets.map((socket) => socketRow(socket, process))
    : groupRows(process)
  if (rows.length === 0) return ['', title, colors.dim('  no sockets')]
  return ['', title, ...tableOf(['socket', 'state', 'owner', 'age', 'fd'], rows, view)]
}

const titleOf = ({ role, slot, pid, generation, command }: AuditedProcess): string => {
  if (role === 'primary') return `primary (pid ${pid})`
  if (role === 'worker') return `worker ${slot} (pid ${pid}, generation ${generation})`
  return `${role === 'orphan' ? 'orphan' : 'process'} ${pid}  ${printable(command).slice(0, 50)}`
}

const groupRows = (process: AuditedProcess): string[][] => {
  const shown = process.groups.slice(0, MOST_GROUPS)
  const rest = process.groups.slice(MOST_GROUPS)
  const rows = shown.map((group) => [
    `${preposition(group.direction)}${printable(group.endpoint)}`,
    statesOf(group.byState),
    ownerOf(group, process),
    group.oldestMs === null ? '' : formatUptime(group.oldestMs),
    `${group.fds.join(' ')}${group.count > group.fds.length ? ` +${group.count - group.fds.length}` : ''}`,
  ])
  return rest.length === 0 ? rows : [...rows, [`${rest.length} more`, `${countOf(rest)} sockets`, '', '', '']]
}

const socketRow = (socket: AuditedSocket, process: AuditedProcess): string[] => [
  `${preposition(socket.direction)}${printable(nameSocket(socket))}`,
  socket.state,
  ownerOf(socket, process),
  socket.ageMs === null ? '' : formatUptime(socket.ageMs),
  String(socket.fd),
]

const nameSocket = ({ direction, endpoint, local, remote, path, kind }: AuditedSocket): string =>
  (direction === 'listening' ? (local ?? path) : (endpoint ?? remote ?? path ?? local)) ?? kind

const preposition = (direction: SocketGroup['direction']): string => {
  switch (direction) {
    case 'listening':
      return 'at '
    case 'accepted':
      return 'in '
    case 'outgoing':
      return 'to '
    default:
      return ''
  }
}

const statesOf = (byState: SocketGroup['byState']): string => {
  const states = Object.entries(byState).sort(([, a], [, b]) => b - a)
  const text = states.slice(0, 2).map(([state, count]) => (count === 1 ? state : `${count} ${state}`))
  return `${text.join(', ')}${states.length > 2 ? ', …' : ''}`
}

/** Of what goes out it says whose it is; of a process that says nothing of itself that is not known. */
const ownerOf = (
  { direction, client }: Pick<SocketGroup, 'direction' | 'client'>,
  { hasOrigins }: AuditedProcess,
): string => {
  if (direction !== 'outgoing') return ''
  if (client !== null) return `${printable(client.name)} #${client.epoch}`
  return hasOrigins ? 'unguarded' : '?'
}

const renderEndpoints = (endpoints: readonly EndpointRow[], view: AuditView): string[] => {
  if (endpoints.length === 0) return []
  const shown = endpoints.slice(0, MOST_GROUPS)
  const hasUnknown = shown.some(({ unknown }) => unknown > 0)
  const before = new Map(view.first?.endpoints.map(({ endpoint, live }) => [endpoint, live]))
  const rows = shown.map(({ endpoint, live, guarded, unguarded, unknown, budget, trend }) => [
    printable(endpoint),
    view.first === null ? String(live) : `${live} ${change(live - (before.get(endpoint) ?? 0))}`,
    String(guarded),
    String(unguarded),
    ...(hasUnknown ? [String(unknown)] : []),
    budget === null ? '' : String(budget),
    trend?.perHour == null ? '' : formatSlope(trend.perHour),
  ])
  const rest = endpoints.length - shown.length
  return [
    '',
    view.colors.bold('connections of the whole tree'),
    ...tableOf(
      ['endpoint', 'open', 'guarded', 'unguarded', ...(hasUnknown ? ['?'] : []), 'budget', 'trend'],
      rows,
      view,
    ),
    ...(rest === 0 ? [] : [`  and ${plural(rest, 'endpoint', 'endpoints')} more`]),
  ]
}

const change = (by: number): string => (by === 0 ? '(=)' : `(${by > 0 ? '+' : ''}${by})`)

const RIGHT: ReadonlySet<string> = new Set(['open', 'guarded', 'unguarded', '?', 'budget', 'age'])
const INDENT = 2
const GAP = 2

/** The first column gives way where all of them together are too wide. */
const tableOf = (
  head: readonly string[],
  rows: readonly (readonly string[])[],
  view: AuditView,
): string[] => {
  const { colors, columns } = view
  const widths = head.map((text, at) => Math.max(text.length, ...rows.map((row) => row[at]?.length ?? 0)))
  const others = widths.slice(1).reduce((sum, width) => sum + GAP + width, 0)
  const first = Math.max(20, columns - INDENT - others)
  const cells = (row: readonly string[], paint?: (text: string) => string): Cell[] =>
    row.map((text, at) => ({
      text: at === 0 ? shortenMiddle(text, first) : text,
      isRight: RIGHT.has(head[at] ?? ''),
      ...((paint ?? paintOf(text, colors))
        ? { paint: paint ?? paintOf(text, colors) ?? ((plain) => plain) }
        : {}),
    }))
  const table = renderTable([cells(head, colors.dim), ...rows.map((row) => cells(row))])
  return table.map((line) => `${' '.repeat(INDENT)}${line}`)
}

const paintOf = (text: string, colors: Colors): ((text: string) => string) | undefined =>
  text === 'unguarded' || text.includes('close-wait') ? colors.yellow : undefined

const renderFindings = (findings: readonly Finding[], view: AuditView): string[] => {
  const { colors, columns } = view
  const problems = findings.filter(({ severity }) => severity === 'problem').length
  if (findings.length === 0) return ['', colors.green('nothing that does not belong')]
  const notes = findings.length - problems
  const counts = [
    ...(problems === 0 ? [] : [colors.red(plural(problems, 'problem', 'problems'))]),
    ...(notes === 0 ? [] : [colors.yellow(plural(notes, 'note', 'notes'))]),
  ]
  return [
    '',
    counts.join(', '),
    ...findings.slice(0, MOST_FINDINGS).flatMap((finding) => renderFinding(finding, colors, columns)),
    ...(findings.length > MOST_FINDINGS
      ? ['', `and ${findings.length - MOST_FINDINGS} more: --json lists them`]
      : []),
  ]
}

const MOST_FINDINGS = 50

const renderFinding = (
  { kind, severity, who, what, todo }: Finding,
  colors: Colors,
  columns: number,
): string[] => {
  const paint = severity === 'problem' ? colors.red : colors.yellow
  const lines = (text: string, lead: string): string[] =>
    wrap(printable(text), columns - 4).map((line, at) => `${at === 0 ? lead : '    '}${line}`)
  return ['', paint(`  ${printable(kind)}`), ...lines(`${who} ${what}`, '    '), ...lines(todo, '  → ')]
}

const countOf = (groups: readonly SocketGroup[]): number => groups.reduce((sum, { count }) => sum + count, 0)

const plural = (count: number, one: string, more: string): string => `${count} ${count === 1 ? one : more}`
