// Sockets that whoever launched this process left open in it, so that every process it starts inherits them. Node opens
// each descriptor close-on-exec, and sets that for 0 to about 16 when it starts; a higher one keeps what it came with.

import { readFileSync } from 'node:fs'
import { socketInodesOf } from '../audit/socket-inodes.js'
import { LAST_STDIO, showEndpoint } from '../audit/socket-table.js'
import { takeSnapshot } from '../audit/take-snapshot.js'
import { ForksafeError } from '../shared/errors.js'
import { closeBeforeStart } from './fork-audit.js'

/** Of open(2) on Linux, as octal digits of /proc/PID/fdinfo/FD show it; 0o2000000 on all architectures of Node. */
const O_CLOEXEC = 0o2000000

/** Whether what this process starts has the descriptor too. False where the kernel does not say. */
export const isInheritable = (fd: number): boolean => {
  if (fd <= LAST_STDIO) return false
  try {
    const flags = /^flags:\s*([0-7]+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'latin1'))?.[1]
    return flags !== undefined && (Number.parseInt(flags, 8) & O_CLOEXEC) === 0
  } catch {
    return false
  }
}

/**
 * With `forkGuard: 'strict'` no worker could pass: each would share the launcher's connection, and no replacement is
 * better. So the start is refused, with what to do, before anything is started.
 *
 * @throws FORKSAFE_ERR_INHERITED_SOCKET
 */
export const refuseInheritedConnections = async (): Promise<void> => {
  const inodes = await socketInodesOf(process.pid)
  const inherited = [...inodes.values()].filter(isInheritable)
  if (inherited.length === 0) return
  const [self] = (await takeSnapshot([process.pid], { source: 'proc' })).processes
  for (const { fd, remote, state } of self?.sockets ?? []) {
    if (!inherited.includes(fd) || remote === null || state === 'time-wait') continue
    const endpoint = showEndpoint(remote)
    throw new ForksafeError(
      'FORKSAFE_ERR_INHERITED_SOCKET',
      `forkGuard is strict, and this process was started with a connection to ${endpoint} at descriptor ${fd}, which every worker would inherit; ${closeBeforeStart(fd)}`,
      { details: { fd, endpoint } },
    )
  }
}
