// Where a caller finds its relay: what it names itself, else FORKSAFE_RELAY, else the relay of the default name. Whoever
// listens there: src/relay/ingress.

import { lstatSync } from 'node:fs'
import { isAbsolute } from 'node:path'
import { show } from '../shared/duration.js'
import { ForksafeError } from '../shared/errors.js'
import { defaultRelaySocket, systemRelaySocket } from '../shared/relay-socket.js'
import { isName } from '../shared/supervisor-name.js'

export type RelayTarget = { kind: 'unix'; path: string } | { kind: 'tcp'; url: string; token: string }

export interface RelayPlace {
  /** Of the relay's supervisor. */
  name?: string | undefined
  /** Absolute path of its socket, or `http://127.0.0.1:PORT`. */
  socket?: string | undefined
  env: NodeJS.ProcessEnv
}

const DEFAULT_NAME = 'relay'

/**
 * @throws FORKSAFE_ERR_RELAY_OPTIONS for what is neither a name, nor a path, nor an address with its token.
 */
export const findRelay = ({ name, socket, env }: RelayPlace): RelayTarget => {
  if (socket !== undefined) return targetOf('socket', socket, env)
  if (name !== undefined) return byName('name', name, env)
  const given = env.FORKSAFE_RELAY
  if (!given) return byName('name', DEFAULT_NAME, env)
  return isAddress(given) ? targetOf('FORKSAFE_RELAY', given, env) : byName('FORKSAFE_RELAY', given, env)
}

const isAddress = (text: string): boolean => text.includes('/') || text.startsWith('unix:')

const targetOf = (field: string, given: string, env: NodeJS.ProcessEnv): RelayTarget => {
  if (typeof given !== 'string' || given.includes('\0')) throw notAPlace(field, given)
  if (given.startsWith('http://')) return tcpTarget(field, given, env)
  const path = given.startsWith('unix:') ? given.slice('unix:'.length) : given
  if (!isAbsolute(path)) throw notAPlace(field, given)
  return { kind: 'unix', path }
}

const tcpTarget = (field: string, given: string, env: NodeJS.ProcessEnv): RelayTarget => {
  const url = URL.canParse(given) ? new URL(given) : null
  if (url === null || url.pathname !== '/' || url.search + url.hash + url.username !== '')
    throw notAPlace(field, given)
  const token = env.FORKSAFE_RELAY_TOKEN
  if (!token || /[^!-~]/.test(token)) {
    throw new ForksafeError(
      'FORKSAFE_ERR_RELAY_OPTIONS',
      `${field}: ${url.origin} needs a token; set FORKSAFE_RELAY_TOKEN to what the relay was started with`,
      { details: { field } },
    )
  }
  return { kind: 'tcp', url: url.origin, token }
}

/** This user's own relay where there is one, else the machine's. */
const byName = (field: string, name: string, env: NodeJS.ProcessEnv): RelayTarget => {
  if (typeof name !== 'string' || !isName(name)) throw notAPlace(field, name)
  const own = defaultRelaySocket(name, env)
  return { kind: 'unix', path: isThere(own) ? own : systemRelaySocket(name) }
}

const isThere = (path: string): boolean => {
  try {
    return lstatSync(path).isSocket()
  } catch {
    return false
  }
}

const notAPlace = (field: string, given: unknown): ForksafeError =>
  new ForksafeError(
    'FORKSAFE_ERR_RELAY_OPTIONS',
    `${field}: ${show(given)} is no relay; write the absolute path of its socket, its name, or http://127.0.0.1:PORT`,
    { details: { field } },
  )
