// supervisor log-level: shows or changes how much a running supervisor says of itself.

import { ForksafeError } from '../../shared/errors.js'
import { LOG_LEVELS } from '../../shared/log-level.js'
import { readChoice } from '../../shared/option-values.js'
import { type Command, clientFor } from '../command.js'
import { nameOption } from './name-option.js'

export const logLevelCommand: Command = {
  name: 'log-level',
  operands: '[level]',
  summary: "show or change the least level of a supervisor's own lines",
  examples: [
    'supervisor log-level         the level that holds now',
    `supervisor log-level debug   from now on, until it ends: ${LOG_LEVELS.join(', ')}`,
  ],
  options: [nameOption()],
  mistake: 2,
  run: async (call) => {
    const { operands, screen } = call
    const [given, more] = operands
    if (more !== undefined) {
      throw new ForksafeError('FORKSAFE_ERR_OPTION_INVALID', 'log-level takes one level, or none to show it')
    }
    const wanted = given === undefined ? undefined : readChoice(...LOG_LEVELS)('level', given, 'text')
    const level = await (await clientFor(call)).logLevel(wanted)
    if (call.isJson) screen.json({ level })
    else screen.line(level)
    return 0
  },
}
