// supervisor logs: the last lines of supervisor and workers, and with -f those to come.

import { Option } from 'commander'
import type { LogLine } from '../../observe/log-buffer.js'
import { logRecord } from '../../observe/log-record.js'
import { readWholeNumber } from '../../shared/option-values.js'
import { type Command, clientFor } from '../command.js'
import { renderLogLine } from '../render/log-line.js'
import { nameOption } from './name-option.js'

const DEFAULT_LINES = 100
const MAX_LINES = 10_000

export const logsCommand: Command = {
  name: 'logs',
  summary: 'show the last lines of supervisor and workers',
  examples: [
    'supervisor logs -n 20      the last 20 lines, as [slot:pid generation] text',
    'supervisor logs -f --json  follow, each line as a JSON object',
  ],
  options: [
    nameOption(),
    new Option('-f, --follow', 'go on with each new line'),
    new Option(
      '-n, --lines <count>',
      `how many of the last lines, 0 to ${MAX_LINES} (default: ${DEFAULT_LINES})`,
    ),
  ],
  mistake: 2,
  run: async (call) => {
    const { flags, screen } = call
    const lines = readWholeNumber(0, MAX_LINES)('--lines', flags.lines ?? String(DEFAULT_LINES), 'text')
    const client = await clientFor(call)
    const { name } = client.target
    let leftOut = 0
    const sayLeftOut = (): void => {
      if (leftOut > 0)
        screen.complain(`${leftOut} lines came faster than they could be shown and were left out`)
      leftOut = 0
    }
    const show = (line: LogLine): void => {
      if (screen.isBehind) return void leftOut++
      sayLeftOut()
      if (call.isJson) screen.json(logRecord(name, line))
      else screen.line(renderLogLine(line, screen.colors))
    }
    await client.logs(show, {
      lines,
      follow: flags.follow === true,
      signal: screen.closed,
      onDropped: (count) => {
        leftOut += count
      },
    })
    sayLeftOut()
    return 0
  },
}
