// Which workers of a supervisor run a relay, what they run, and what the app's workers are told of it.
// What a relay is told itself: src/shared/relay-settings.ts.

import { isIPv6 } from 'node:net'
import { fileURLToPath } from 'node:url'
import type { RelayListen, RelaySettings } from './relay-settings.js'

export type WorkerRole = 'app' | 'relay'

/** What a relay worker runs. */
export const RELAY_SCRIPT = fileURLToPath(new URL('../worker/relay-worker.js', import.meta.url))

/** A name that a relay has by default. */
export const RELAY_NAME = 'relay'

interface WithRelay {
  script: string
  relay?: RelaySettings
}

/** Whether all workers run the relay, because there is no app: `supervisor relay`. */
export const isRelayAlone = ({ script }: WithRelay): boolean => script === RELAY_SCRIPT

/** How many slots run a relay beside an app. */
export const relaysBeside = (settings: WithRelay): number =>
  settings.relay === undefined || isRelayAlone(settings) ? 0 : settings.relay.workers

/** Which of two a slot is for, where the first `relays` slots are a relay's beside an app. */
export const roleOf = (slot: number, relays: number, settings: WithRelay): WorkerRole =>
  slot < relays || isRelayAlone(settings) ? 'relay' : 'app'

/** `unix:/run/forksafe-relay/feed.sock`, `127.0.0.1:8090`: as the option says it. */
export const showListen = (listen: RelayListen): string =>
  listen.kind === 'unix' ? `unix:${listen.path}` : hostAndPort(listen)

const hostAndPort = ({ host, port }: { host: string; port: number }): string =>
  `${isIPv6(host) ? `[${host}]` : host}:${port}`

/** By these the app's workers find the relay beside them; what the app's `env` says counts before it. */
export const relayVariables = ({ listen, token }: RelaySettings): Record<string, string> => {
  const socket = listen.find(({ kind }) => kind === 'unix')
  if (socket?.kind === 'unix') return { FORKSAFE_RELAY: socket.path }
  const [first] = listen
  if (first?.kind !== 'tcp' || token === null) return {}
  return { FORKSAFE_RELAY: `http://${hostAndPort(first)}`, FORKSAFE_RELAY_TOKEN: token }
}

/** What of it must not be seen in a log: the token, values of headers, queries of URLs. */
export const relaySecrets = ({ token, to }: RelaySettings): string[] => [
  ...(token === null ? [] : [token]),
  ...to.flatMap(({ url, headers }) => {
    const { search, searchParams } = new URL(url)
    return [...Object.values(headers).flatMap(inHeader), search.slice(1), ...searchParams.values()]
  }),
]

/** The value, and what stands behind `Bearer` in it. */
const inHeader = (value: string): string[] => [value, value.slice(value.indexOf(' ') + 1)]

/** What is shown in place of a secret. */
const HIDDEN = '(hidden)'

/** The settings as people may see them: with the names of headers, and without what is secret. */
export const shownRelay = (settings: RelaySettings): RelaySettings => ({
  ...settings,
  token: settings.token === null ? null : HIDDEN,
  to: settings.to.map((upstream) => ({
    ...upstream,
    url: withoutQuery(upstream.url),
    headers: Object.fromEntries(Object.keys(upstream.headers).map((name) => [name, HIDDEN])),
  })),
})

const withoutQuery = (url: string): string => {
  const { search } = new URL(url)
  return search === '' ? url : `${url.slice(0, url.indexOf('?'))}?${HIDDEN}`
}
