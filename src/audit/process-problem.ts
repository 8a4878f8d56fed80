// Why the sockets of a process could not be read, in words for whoever reads the audit.

import type { ProcessSockets } from './socket-table.js'

export const GONE = 'the process is gone'

/** Gone between being listed and being read is nothing wrong: it holds nothing any more. */
export const isGone = ({ problem }: ProcessSockets): boolean => problem === GONE

/** @param error what the file system said of its folder in /proc. */
export const whyUnreadable = (error: unknown): string => {
  const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown'
  if (code === 'ENOENT' || code === 'ESRCH') return GONE
  if (code === 'EACCES' || code === 'EPERM')
    return `no permission to read its descriptors (${code}): ask as its user or as root`
  return `its descriptors cannot be read (${code})`
}
