// supervisor status: one look at a running supervisor, or with --watch one each second.

import { Option } from 'commander'
import { type Command, clientFor } from '../command.js'
import { renderStatus } from '../render/status.js'
import { pauseBeforeNextLook } from '../watch-pause.js'
import { nameOption } from './name-option.js'

const WATCH_INTERVAL = 1_000
const CLEAR = '\x1b[H\x1b[2J'

export const statusCommand: Command = {
  name: 'status',
  summary: 'show a supervisor, its workers and their clients',
  examples: [
    'supervisor status',
    'supervisor status --watch              again each second, until Ctrl-C or the supervisor ends',
    'supervisor status --json | jq .workers[].state',
  ],
  options: [nameOption(), new Option('-w, --watch', 'look again each second; with --json an object a line')],
  mistake: 2,
  run: async (call) => {
    const { flags, screen } = call
    const client = await clientFor(call)
    for (;;) {
      const status = await client.status()
      if (call.isJson) screen.json(status)
      else {
        const text = renderStatus(status, { colors: screen.colors, now: Date.now() })
        screen.write(`${flags.watch === true && screen.isLive ? CLEAR : ''}${text}`)
      }
      if (flags.watch !== true || !(await pauseBeforeNextLook(call, WATCH_INTERVAL))) return 0
    }
  },
}
