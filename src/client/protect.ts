// protect(): any other resource of this process (a database pool, Redis, MQTT) under the rules of a guarded client, one per
// name. It stands beside the guarded client because it shares its states and is part of `forksafe/client`.
// The names are kept under a registered symbol, so that two copies of the package share them.

import { show } from '../shared/duration.js'
import { ForksafeError } from '../shared/errors.js'
import { checkName } from './check-name.js'
import { differingProtectOption, type ProtectOptions } from './protect-options.js'
import { ProtectedResource } from './protected-resource.js'

interface Entry {
  /** A {@link ProtectedResource}; of what, only its callers know. */
  resource: object
  options: object
}

const KEY = Symbol.for('forksafe.protected.v1')

const entries = (): Map<string, Entry> => {
  const holder = globalThis as { [KEY]?: Map<string, Entry> }
  holder[KEY] ??= new Map()
  return holder[KEY]
}

/**
 * The protected resource of this name: the same instance everywhere in the process, made by the first call that brings
 * options.
 *
 * Making it opens nothing, so a module that does it may be imported anywhere, in a primary too. `get()` opens it.
 * It is closed when the process drains, and before a primary forks, in reverse order of opening. `close()` is final for the
 * instance and frees its name.
 *
 * @param name what it is, such as `db`: 1 to 200 characters, none of them a control character.
 * @param options see docs/protect.md. Without them the existing one is returned.
 * @throws FORKSAFE_ERR_RESOURCE_OPTIONS: not allowed, or other than those it was made with.
 * @throws FORKSAFE_ERR_RESOURCE_UNKNOWN: no options, and none of that name.
 */
export const protect = <Value>(name: string, options?: ProtectOptions<Value>): ProtectedResource<Value> => {
  checkName(name, 'name of a protected resource', 'FORKSAFE_ERR_RESOURCE_OPTIONS')
  const existing = entries().get(name)
  if (existing === undefined) return create(name, options)
  const differing = options === undefined ? undefined : differingProtectOption(existing.options, options)
  if (differing === undefined) return existing.resource as ProtectedResource<Value>
  throw new ForksafeError(
    'FORKSAFE_ERR_RESOURCE_OPTIONS',
    `protected resource ${show(name)} exists with another ${differing}; use the same options, none, or another name`,
    { details: { resource: name, option: differing } },
  )
}

const create = <Value>(
  name: string,
  options: ProtectOptions<Value> | undefined,
): ProtectedResource<Value> => {
  if (options === undefined) {
    throw new ForksafeError(
      'FORKSAFE_ERR_RESOURCE_UNKNOWN',
      `there is no protected resource named ${show(name)}; make it first with protect(${show(name)}, { open, close })`,
      { details: { resource: name } },
    )
  }
  const resource = new ProtectedResource(name, options)
  entries().set(name, { resource, options: { ...options } })
  resource.once('closed', () => void entries().delete(name))
  return resource
}
