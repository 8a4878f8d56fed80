// Reads a file of KEY=VALUE lines, in the form that `node --env-file` reads.

import { readFileSync, statSync } from 'node:fs'
import { parseEnv } from 'node:util'
import { errnoOf } from './config-file.js'
import { invalidOption, readVariables } from './option-values.js'

const MAX_BYTES = 1024 * 1024

/**
 * The variables in a file as it is now.
 *
 * @param path absolute. `field` names the option and `shown` the path, for errors.
 * @throws FORKSAFE_ERR_OPTION_INVALID: missing, no regular file, larger than 1 MiB, or a variable that is the
 *   supervisor's own.
 */
export const readEnvFile = (path: string, field: string, shown: string): Record<string, string> => {
  let text: string
  try {
    const stat = statSync(path)
    if (!stat.isFile())
      throw invalidOption(field, shown, 'is not a regular file; name one of KEY=VALUE lines')
    if (stat.size > MAX_BYTES) throw invalidOption(field, shown, `holds more than ${MAX_BYTES} bytes`)
    text = readFileSync(path, 'utf8')
  } catch (error) {
    const errno = errnoOf(error)
    if (!/^E[A-Z]+$/.test(errno)) throw error
    const remedy = errno === 'ENOENT' ? 'there is no such file' : 'give this user the right to read it'
    throw invalidOption(field, shown, `cannot be read (${errno}); ${remedy}`)
  }
  return readVariables(`${field} ${shown}`, { ...parseEnv(text) }, 'value')
}
