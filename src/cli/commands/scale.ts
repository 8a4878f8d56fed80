// supervisor scale: more or fewer workers, live.

import { invalidOption } from '../../shared/option-values.js'
import { MAX_WORKERS } from '../../shared/settings.js'
import { type Command, clientFor } from '../command.js'
import { showOperation } from '../render/operation.js'
import { nameOption } from './name-option.js'

export const scaleCommand: Command = {
  name: 'scale',
  operands: '<workers>',
  summary: 'run that many workers, or +N more, or -N fewer; the others go on',
  examples: [
    'supervisor scale 4     four workers',
    'supervisor scale +1    one more',
    'supervisor scale -1    one fewer: its requests are finished first',
  ],
  options: [nameOption()],
  mistake: 2,
  run: async (call) => {
    const workers = workersOf(call.operands[0] ?? '')
    const client = await clientFor(call)
    return showOperation(call, (tell) => client.scale(workers, tell))
  },
}

const workersOf = (text: string): number | { by: number } => {
  const [, sign, digits] = /^([+-]?)(\d{1,5})$/.exec(text) ?? []
  const number = Number(digits)
  if (!(number >= 1 && number <= MAX_WORKERS)) {
    throw invalidOption(
      'workers',
      text,
      `is not a number of workers; write 1 to ${MAX_WORKERS}, or +N or -N for more or fewer`,
    )
  }
  if (sign === '') return number
  return { by: sign === '-' ? -number : number }
}
