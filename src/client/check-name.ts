// Names of clients and protected resources: they stand in messages, logs and tables, each on one line.

import { show } from '../shared/duration.js'
import { type ErrorCode, ForksafeError } from '../shared/errors.js'

/**
 * @param what is named, such as `a client`.
 * @throws an error of that code unless it is 1 to 200 characters, none of them a control character.
 */
export const checkName = (name: unknown, what: string, code: ErrorCode): void => {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is refused
  if (typeof name === 'string' && /^[^\x00-\x1f\x7f]{1,200}$/.test(name)) return
  throw new ForksafeError(
    code,
    `name of ${what}: ${show(name)} is not a text of 1 to 200 characters without control characters`,
  )
}
