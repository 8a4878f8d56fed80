// --name, as every command that talks to a running supervisor has it.

import { Option } from 'commander'

export const nameOption = (): Option =>
  new Option('--name <name>', 'which supervisor (default: $FORKSAFE_NAME, else the only one that runs)')
