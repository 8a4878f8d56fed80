// supervisor config check: reads everything that `start` would read, says what is wrong, and starts nothing.

import { invalidOption } from '../../shared/option-values.js'
import { shownRelay } from '../../shared/relay-role.js'
import type { Command } from '../command.js'
import { renderSettings } from '../render/settings.js'
import { settingsReader, startOptions } from '../start-settings.js'

export const configCommand: Command = {
  name: 'config',
  operands: '<check> [script]',
  summary: 'check configuration and script as start would read them',
  examples: [
    'supervisor config check                        supervisor.config.* of this folder and FORKSAFE_*',
    'supervisor config check app.js -i max          with the same flags as start',
    'supervisor config check --json | jq .workers   what start would run with',
  ],
  options: startOptions(),
  mistake: 78,
  takesArgs: true,
  run: async (call) => {
    const [deed, ...operands] = call.operands
    if (deed !== 'check')
      throw invalidOption('config', deed ?? '', "is not known; write 'supervisor config check'")
    const { settings, configFile } = await settingsReader({ ...call, operands })()
    const { relay } = settings
    const shown = relay === undefined ? settings : { ...settings, relay: shownRelay(relay) }
    if (call.isJson) call.screen.json({ ...shown, configFile })
    else call.screen.write(renderSettings(shown, configFile, call.screen.colors))
    return 0
  },
}
