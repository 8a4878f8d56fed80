// The settings that a supervisor would run with, one a line.

import { printable } from '../../shared/printable.js'
import { showListen } from '../../shared/relay-role.js'
import type { RelaySettings, RelayUpstream } from '../../shared/relay-settings.js'
import type { Settings } from '../../shared/settings.js'
import type { Colors } from '../screen.js'
import { renderTable } from './table.js'

/** Ends with a line end. Values of variables are not shown: they may be secret. */
export const renderSettings = (settings: Settings, configFile: string | null, colors: Colors): string => {
  const { relay, ...others } = settings
  const rows = Object.entries({ ...others, ...(relay === undefined ? {} : relayRows(relay)) }).map(
    ([key, value]) => [{ text: key, paint: colors.dim }, { text: printable(textOf(key, value)) }],
  )
  const source = configFile === null ? 'no configuration file' : printable(configFile)
  return [
    colors.green('good'),
    ...renderTable([[{ text: 'read from', paint: colors.dim }, { text: source }], ...rows]),
    '',
  ].join('\n')
}

/** One line a setting, as `relay.to.feed` says it. */
const relayRows = ({
  name: _name,
  to,
  listen,
  group,
  ...others
}: RelaySettings): Record<string, unknown> => ({
  'relay.listen': listen.map(showListen),
  'relay.group': group?.name,
  ...Object.fromEntries(Object.entries(others).map(([key, value]) => [`relay.${key}`, value])),
  ...Object.fromEntries(to.map((upstream) => [`relay.to.${upstream.name}`, upstreamText(upstream)])),
})

const upstreamText = ({ name: _name, url, headers, tls, ...others }: RelayUpstream): string =>
  [
    url,
    ...Object.keys(headers).map((name) => `${name}: ${headers[name]}`),
    ...pairs(tls),
    ...pairs(others),
  ].join(' ')

const pairs = (values: object): string[] =>
  Object.entries(values).flatMap(([key, value]) => {
    const text = Array.isArray(value) ? value.join(',') : String(value)
    return text === '' ? [] : [`${key}=${text}`]
  })

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
