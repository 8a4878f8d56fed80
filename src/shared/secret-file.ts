// Reads a file that holds a secret: bounded, and only if nobody but its owner, and at most a group, can read it.

import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs'
import { resolve } from 'node:path'
import { errnoOf } from './config-file.js'
import { invalidOption } from './option-values.js'

const MAX_BYTES = 64 * 1024

/**
 * Its text, without one line end at the end.
 *
 * @param shown its path as it was given, relative to `folder`; `field` names the option, for errors.
 * @param options.groupMayRead whether the group may be let in: those who have to say the secret have to know it.
 * @throws FORKSAFE_ERR_OPTION_INVALID: missing, no file, too large, empty, open to others, another user's.
 */
export const readSecretFile = (
  field: string,
  shown: string,
  { folder, groupMayRead }: { folder: string; groupMayRead: boolean },
): string => {
  const path = resolve(folder, shown)
  let file: number | undefined
  try {
    // What a FIFO or a device would do to a reader is not waited for.
    file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
    const stat = fstatSync(file)
    if (!stat.isFile()) throw invalidOption(field, shown, 'is not a regular file; name a file')
    const uid = process.getuid?.()
    if (uid !== undefined && stat.uid !== uid && stat.uid !== 0)
      throw invalidOption(field, shown, `belongs to user ${stat.uid}; run chown ${uid} ${path}`)
    if ((stat.mode & (groupMayRead ? 0o027 : 0o077)) !== 0) {
      const mode = (stat.mode & 0o777).toString(8).padStart(4, '0')
      throw invalidOption(
        field,
        shown,
        `can be read or changed by others (mode ${mode}); run chmod ${groupMayRead ? '640' : '600'} ${path}`,
      )
    }
    const bytes = Buffer.alloc(MAX_BYTES + 1)
    const length = readSync(file, bytes, 0, bytes.length, 0)
    if (length > MAX_BYTES) throw invalidOption(field, shown, `holds more than ${MAX_BYTES} bytes`)
    const text = bytes.toString('utf8', 0, length).replace(/\r?\n$/, '')
    if (text.trim() === '') throw invalidOption(field, shown, 'is empty; write the secret into it')
    return text
  } catch (error) {
    const errno = errnoOf(error)
    if (!/^E[A-Z]+$/.test(errno)) throw error
    const remedy = errno === 'ENOENT' ? 'there is no such file' : 'give this user the right to read it'
    throw invalidOption(field, shown, `cannot be read (${errno}); ${remedy}`)
  } finally {
    if (file !== undefined) closeSync(file)
  }
}
