// Names of clients, what they stand for, and protected resources: they stand in messages, logs and tables, each on one line.

import { show } from '../shared/duration.js'
import { type ErrorCode, ForksafeError } from '../shared/errors.js'

/**
 * @param what it is, such as `name of a client`.
 * @throws an error of that code unless it is 1 to 200 characters, none of them a control character.
 */
export const checkName = (name: unknown, what: string, code: ErrorCode): void => {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is refused
  if (typeof name === 'string' && /^[^\x00-\x1f\x7f]{1,200}$/.test(name)) return
  throw new ForksafeError(
    code,
    `${what}: ${show(name)} is not a text of 1 to 200 characters without control characters`,
  )
}
