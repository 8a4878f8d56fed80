// The queues of a relay for people. Bodies are somebody else's text: they are shown escaped, and cut to a line.

import type { KnownMessage, ShownMessage, ShownParked } from '../../relay/shown-message.js'
import type { ShownLine } from '../../relay/spool-view.js'
import { printable } from '../../shared/printable.js'
import { formatMemory, formatUptime } from './figures.js'
import type { StatusView } from './status.js'
import { type Cell, renderTable } from './table.js'

const RIGHT: ReadonlySet<string> = new Set([
  'waiting',
  'oldest',
  'size',
  'parked',
  'accepted',
  'delivered',
  'expired',
  'seq',
  'age',
  'bytes',
])
/** Characters of a body in a table. */
const IN_TABLE = 60

const table = (columns: readonly string[], rows: readonly Cell[][], { colors }: StatusView): string => {
  const head: Cell[] = columns.map((text) => ({ text, paint: colors.dim, isRight: RIGHT.has(text) }))
  return `${renderTable([head, ...rows]).join('\n')}\n`
}

/** Ends with a line end, as all of these do. */
export const renderLines = (lines: readonly ShownLine[], view: StatusView): string => {
  const { colors, now } = view
  if (lines.length === 0) return 'the relay has no client\n'
  const rows = lines.map((line): Cell[] => {
    const figures = [
      String(line.queued),
      line.oldestAt === null ? '-' : formatUptime(now - line.oldestAt),
      formatMemory(line.bytes),
      String(line.parked),
      // Counted since the spool was opened: of files there is nothing to count.
      ...[line.accepted, line.delivered, line.expired].map((count) =>
        line.connection === undefined ? '-' : String(count),
      ),
    ].map((text) => ({ text, isRight: true }))
    return [
      { text: printable(line.client), paint: colors.bold },
      {
        text: line.connection?.state ?? 'not running',
        paint: line.connection?.state === 'open' ? colors.green : colors.yellow,
      },
      ...figures,
    ]
  })
  const columns = [
    'client',
    'connection',
    'waiting',
    'oldest',
    'size',
    'parked',
    'accepted',
    'delivered',
    'expired',
  ]
  const notes = lines.flatMap(({ client, refusing, quarantined, connection }) => [
    ...(refusing === null ? [] : [`${client}: takes nothing now: ${refusing}`]),
    ...(quarantined === 0 ? [] : [`${client}: ${quarantined} damaged pieces were put aside`]),
    ...(connection?.trouble ? [`${client}: ${connection.trouble}`] : []),
  ])
  return (
    table(columns, rows, view) +
    (notes.length === 0 ? '' : `\n${notes.map((note) => colors.yellow(printable(note))).join('\n')}\n`)
  )
}

export const renderWaiting = (
  client: string,
  messages: readonly ShownMessage[],
  total: number,
  view: StatusView,
): string => {
  if (messages.length === 0) return `${printable(client)}: nothing waits\n`
  const rows = messages.map((message): Cell[] => [
    { text: printable(message.id), paint: view.colors.bold },
    ...figuresOf(message, message.acceptedAt, view),
    { text: bodyInTable(message), paint: view.colors.dim },
  ])
  return `${headline(client, 'waiting', messages.length, total)}${table(['id', 'seq', 'age', 'bytes', 'body'], rows, view)}`
}

export const renderParked = (
  client: string,
  messages: readonly ShownParked[],
  total: number,
  view: StatusView,
): string => {
  if (messages.length === 0) return `${printable(client)}: nothing is parked\n`
  const rows = messages.map((message): Cell[] => [
    { text: printable(message.id), paint: view.colors.bold },
    ...figuresOf(message, message.parkedAt, view),
    { text: printable(message.reason) },
  ])
  return `${headline(client, 'parked', messages.length, total)}${table(['id', 'seq', 'age', 'bytes', 'reason'], rows, view)}`
}

const headline = (client: string, what: string, shown: number, total: number): string =>
  `${printable(client)}: ${total} ${what}${shown < total ? `, the first ${shown} of them (--limit)` : ''}\n`

const figuresOf = ({ seq, bytes }: ShownMessage, since: number, { now }: StatusView): Cell[] =>
  [String(seq), formatUptime(now - since), String(bytes)].map((text) => ({ text, isRight: true }))

const bodyInTable = ({ body, isBinary, isCut }: ShownMessage): string => {
  const text = printable(body)
  const cut = [...text].slice(0, IN_TABLE).join('')
  return `${isBinary ? 'base64 ' : ''}${cut}${isCut || cut.length < text.length ? '…' : ''}`
}

/** Whatever is known of one message, a line each; the body last. */
export const renderMessage = (client: string, message: KnownMessage, { colors }: StatusView): string => {
  const { body, isCut, isBinary, receipt, ...known } = message
  const rows: [string, string][] = [['client', client]]
  for (const [field, value] of Object.entries(known)) {
    if (value === null || value === undefined) continue
    const isTime = field.endsWith('At') && typeof value === 'number'
    rows.push([field, isTime ? new Date(value).toISOString() : String(value)])
  }
  if (receipt)
    rows.push(['receipt', `${receipt.level}, epoch ${receipt.epoch}, ${Math.round(receipt.rtt)} ms`])
  if (body !== undefined) rows.push([isBinary ? 'base64' : 'body', isCut ? `${body}…` : body])
  const cells = rows.map(([field, value]): Cell[] => [
    { text: field, paint: colors.dim },
    { text: printable(value) },
  ])
  return `${renderTable(cells).join('\n')}\n`
}
