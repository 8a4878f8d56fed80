// supervisor stop: stops a supervisor and waits until its process is gone.

import { Option } from 'commander'
import { type Command, clientFor } from '../command.js'
import { showOperation } from '../render/operation.js'
import { nameOption } from './name-option.js'

export const stopCommand: Command = {
  name: 'stop',
  summary: 'stop a supervisor and all its workers',
  examples: [
    'supervisor stop         requests in flight are answered, connections closed',
    'supervisor stop --now   only Close frames are still tried, for a quarter of a second',
  ],
  options: [nameOption(), new Option('--now', 'do not wait for work in flight')],
  mistake: 2,
  run: async (call) => {
    const client = await clientFor(call)
    return showOperation(call, (tell) => client.stop({ now: call.flags.now === true }, tell))
  },
}
