// supervisor handoff: gives an exclusive client's connection to another worker.

import { Option } from 'commander'
import { readWholeNumber } from '../../shared/option-values.js'
import { MAX_WORKERS } from '../../shared/settings.js'
import { type Command, clientFor } from '../command.js'
import { showOperation } from '../render/operation.js'
import { nameOption } from './name-option.js'

export const handoffCommand: Command = {
  name: 'handoff',
  operands: '<client>',
  summary: "hand an exclusive client's connection to another worker; back, if that one cannot open it",
  examples: [
    'supervisor handoff feed           to the worker that is next',
    'supervisor handoff feed --to 2    to the worker of slot 2',
  ],
  options: [nameOption(), new Option('--to <slot>', 'slot of the worker that is to have it')],
  mistake: 2,
  run: async (call) => {
    const { to } = call.flags
    const slot = to === undefined ? null : readWholeNumber(0, MAX_WORKERS - 1)('--to', to, 'text')
    const client = await clientFor(call)
    return showOperation(call, (tell) => client.handOff(call.operands[0] ?? '', slot, tell))
  },
}
