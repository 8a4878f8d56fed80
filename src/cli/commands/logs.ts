// supervisor logs: the last lines of supervisor and workers, and with -f those to come.

import { Option } from 'commander'
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
    'supervisor logs -n 20      the last 20 lines, as [slot:pid] text',
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
    await client.logs(
      (line) => (call.isJson ? screen.json(line) : screen.line(renderLogLine(line, screen.colors))),
      {
        lines,
        follow: flags.follow === true,
        signal: screen.closed,
        onDropped: (count) =>
          screen.complain(`${count} lines came faster than they could be shown and were left out`),
      },
    )
    return 0
  },
}
