// supervisor restart: all workers leave, then all are started; the supervisor itself stays.

import { type Command, clientFor } from '../command.js'
import { showOperation } from '../render/operation.js'
import { nameOption } from './name-option.js'

export const restartCommand: Command = {
  name: 'restart',
  summary: 'stop all workers, then start all: for changes that cannot run side by side',
  examples: [
    'supervisor restart    with a gap, which it states; reload has none',
    'supervisor reload     what one wants nearly always',
  ],
  options: [nameOption()],
  mistake: 2,
  run: async (call) => {
    const client = await clientFor(call)
    return showOperation(call, (tell) => client.restart(tell))
  },
}
