// Why the kernel gave no process, and what to do about it, in words.

import { errnoOf } from '../shared/config-file.js'
import { messageOf } from '../shared/errors.js'

const MEANING: Record<string, string> = {
  EAGAIN:
    'the process limit is reached; raise it (ulimit -u, pids.max of its cgroup, TasksMax of its systemd unit)',
  ENOMEM: 'there is no memory left for another process',
  EMFILE: 'the supervisor has too many files open; raise its limit (ulimit -n)',
  ENFILE: 'the machine has too many files open',
}

export const describeForkFailure = (error: unknown): string => {
  const meaning = MEANING[errnoOf(error) ?? '']
  return meaning === undefined ? messageOf(error) : `${meaning}: ${messageOf(error)}`
}
