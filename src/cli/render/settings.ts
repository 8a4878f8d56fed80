// The settings that a supervisor would run with, one a line.

import { printable } from '../../shared/printable.js'
import type { Settings } from '../../shared/settings.js'
import type { Colors } from '../screen.js'
import { renderTable } from './table.js'

/** Ends with a line end. Values of variables are not shown: they may be secret. */
export const renderSettings = (settings: Settings, configFile: string | null, colors: Colors): string => {
  const rows = Object.entries(settings).map(([key, value]) => [
    { text: key, paint: colors.dim },
    { text: printable(textOf(key, value)) },
  ])
  const source = configFile === null ? 'no configuration file' : printable(configFile)
  return [
    colors.green('good'),
    ...renderTable([[{ text: 'read from', paint: colors.dim }, { text: source }], ...rows]),
    '',
  ].join('\n')
}

const textOf = (key: string, value: unknown): string => {
  if (typeof value === 'function') return 'function'
  if (key === 'env' && typeof value === 'object' && value !== null) return Object.keys(value).join(' ') || '-'
  if (Array.isArray(value)) return value.join(' ') || '-'
  if (typeof value === 'object' && value !== null) {
    return Object.entries(value)
      .map(([name, part]) => `${name}=${String(part)}`)
      .join(' ')
  }
  return value === null || value === undefined ? '-' : String(value)
}
