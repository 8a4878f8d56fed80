// All supervisors of a user as a table, one a line.

import { printable } from '../../shared/printable.js'
import type { SupervisorStatus } from '../../shared/status.js'
import { formatMemory, formatUptime } from './figures.js'
import { isRelayAlone, paintState, type StatusView } from './status.js'
import { type Cell, renderTable } from './table.js'

/** A supervisor that answered, or one that did not, and why. */
export type ListRow = SupervisorStatus | { name: string; state: 'unanswered'; error: string }

const COLUMNS = ['name', 'state', 'pid', 'workers', 'gen', 'uptime', 'memory', 'script']
const RIGHT: ReadonlySet<string> = new Set(['pid', 'workers', 'gen', 'uptime', 'memory'])

/** Ends with a line end. */
export const renderList = (rows: readonly ListRow[], view: StatusView): string => {
  const { colors } = view
  const head: Cell[] = COLUMNS.map((text) => ({ text, paint: colors.dim, isRight: RIGHT.has(text) }))
  return `${renderTable([head, ...rows.map((row) => cells(row, view))]).join('\n')}\n`
}

const cells = (row: ListRow, { colors, now }: StatusView): Cell[] => {
  const name = { text: printable(row.name), paint: colors.bold }
  const state = { text: printable(row.state), paint: paintState(row.state, colors) }
  if (!('workers' in row)) {
    const unknown = COLUMNS.slice(2, -1).map(() => ({ text: '-', isRight: true }))
    return [name, state, ...unknown, { text: printable(row.error) }]
  }
  const ready = row.workers.filter((worker) => worker.state === 'ready').length
  const slots = new Set(row.workers.map(({ slot }) => slot)).size
  const memory = row.workers.reduce((sum, { rssBytes }) => sum + (rssBytes ?? 0), 0)
  const right = [
    String(row.pid),
    `${ready}/${slots}`,
    String(row.generation),
    formatUptime(now - row.startedAt),
    formatMemory(memory),
  ].map((text) => ({ text, isRight: true }))
  return [name, state, ...right, { text: scriptOf(row), paint: colors.dim }]
}

const scriptOf = (status: SupervisorStatus): string =>
  isRelayAlone(status) ? 'relay' : printable(status.script)
