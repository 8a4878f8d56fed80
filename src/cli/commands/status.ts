// supervisor status: one look at a running supervisor.

import { type Command, clientFor } from '../command.js'
import { renderStatus } from '../render/status.js'
import { nameOption } from './name-option.js'

export const statusCommand: Command = {
  name: 'status',
  summary: 'show a supervisor, its workers and their clients',
  examples: ['supervisor status', 'supervisor status --json | jq .workers[].state'],
  options: [nameOption()],
  mistake: 2,
  run: async (call) => {
    const status = await (await clientFor(call)).status()
    if (call.isJson) call.screen.json(status)
    else call.screen.write(renderStatus(status, { colors: call.screen.colors, now: Date.now() }))
    return 0
  },
}
