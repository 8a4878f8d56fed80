// supervisor reload: rolls all workers and waits for the end of it.

import { type Command, clientFor } from '../command.js'
import { showOperation } from '../render/operation.js'
import { nameOption } from './name-option.js'

export const reloadCommand: Command = {
  name: 'reload',
  summary: 'roll all workers to the release that script and configuration name now',
  examples: [
    'supervisor reload                     waits until all workers are replaced, or the reload was rolled back',
    'supervisor reload --name api --json   each event as a JSON line, the last one the result',
  ],
  options: [nameOption()],
  mistake: 2,
  run: async (call) => {
    const client = await clientFor(call)
    return showOperation(call, (tell) => client.reload(tell))
  },
}
