// What docs/configuration.md has to say about the options, made from the option table.

import { flagOf, OPTION_KEYS, OPTIONS, type OptionKey, variableOf } from '../../src/shared/option-table.js'

export const optionRows = (): string[] => [
  '| key | flag | variable | default | meaning |',
  '| --- | --- | --- | --- | --- |',
  ...OPTION_KEYS.map(row),
]

const row = (key: OptionKey): string => {
  const { summary, byDefault, placeholder, short, noVariable, noFile } = OPTIONS[key]
  const flag =
    placeholder === null ? FLAGLESS[key] : `${short === undefined ? '' : `\`-${short}\`, `}\`${flagOf(key)}\``
  const cells = [
    noFile ? '' : `\`${key}\``,
    flag ?? '',
    noVariable ? '' : `\`${variableOf(key)}\``,
    byDefault,
    summary,
  ]
  return `| ${cells.join(' | ')} |`
}

const FLAGLESS: Partial<Record<OptionKey, string>> = { script: 'the operand', args: 'after `--`' }
