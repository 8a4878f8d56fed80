// The guarded clients of this process by name. Under a registered symbol, so that two copies of the package share it
// and a name stays one connection.

import { show } from '../shared/duration.js'
import { ForksafeError } from '../shared/errors.js'
import { currentRequest, watchRequests } from '../shared/request-context.js'
import { checkName } from './check-name.js'
import type { GuardedClientOptions } from './client-options.js'
import { GuardedClient } from './guarded-client.js'
import { differingOption } from './parse-client-options.js'

interface Entry {
  client: GuardedClient
  options: GuardedClientOptions
}

const KEY = Symbol.for('forksafe.clients.v1')

const clients = (): Map<string, Entry> => {
  const holder = globalThis as { [KEY]?: Map<string, Entry> }
  holder[KEY] ??= new Map()
  return holder[KEY]
}

/**
 * The client of this name: the same instance everywhere in the process, made by the first call that brings options.
 *
 * Making a client dials nothing, so a module that does it may be imported anywhere, in a primary too. `connect()`, the
 * first `send()` and `messages()` dial. `close()` is final for the instance and frees its name.
 *
 * @param name what the connection is, such as `feed`: 1 to 200 characters, none of them a control character.
 * @param options see docs/client.md. Without them the existing client is returned.
 * @throws FORKSAFE_ERR_CLIENT_OPTIONS: not allowed, or other than those it was made with.
 * @throws FORKSAFE_ERR_CLIENT_CONNECT_IN_REQUEST: it would be made while a supervised worker serves a request, and the
 *   option `requestGuard` is not `off`.
 * @throws FORKSAFE_ERR_CLIENT_UNKNOWN: no options, and no client of that name.
 * @throws FORKSAFE_ERR_CLIENT_NO_LEASE: `exclusive`.
 */
export const guardedClient = (name: string, options?: GuardedClientOptions): GuardedClient => {
  checkName(name, 'name of a client', 'FORKSAFE_ERR_CLIENT_OPTIONS')
  const existing = clients().get(name)
  if (options === undefined) {
    if (existing !== undefined) return existing.client
    throw new ForksafeError(
      'FORKSAFE_ERR_CLIENT_UNKNOWN',
      `there is no client named ${show(name)}; make it first with guardedClient(${show(name)}, { url })`,
      { details: { client: name } },
    )
  }
  if (existing === undefined) return create(name, options)
  const differing = differingOption(existing.options, options)
  if (differing === undefined) return existing.client
  throw new ForksafeError(
    'FORKSAFE_ERR_CLIENT_OPTIONS',
    `client ${show(name)} exists with another ${differing}; use the same options, none, or another name`,
    { details: { client: name, option: differing } },
  )
}

// Who loads this may make a client in a request next.
watchRequests()

const create = (name: string, options: GuardedClientOptions): GuardedClient => {
  const request = currentRequest()
  if (request !== null) {
    throw new ForksafeError(
      'FORKSAFE_ERR_CLIENT_CONNECT_IN_REQUEST',
      `client ${show(name)} was to be made within a request (${request}): each request would have a connection of its ` +
        `own. Make it once at module level; in requests guardedClient(${show(name)}) returns it. For work that outlives ` +
        'its response call waitUntil() first',
      { details: { client: name, request } },
    )
  }
  const client = new GuardedClient(name, options)
  clients().set(name, { client, options: { ...options } })
  client.once('closed', () => void clients().delete(name))
  return client
}
