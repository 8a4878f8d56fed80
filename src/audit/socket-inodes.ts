// Which sockets a process has, by nothing but their inodes: what is cheap enough to be asked after each fork. What the
// sockets are is not known here: proc-source.ts.

import { opendirSync, readlinkSync } from 'node:fs'
import { Slices } from './slices.js'

/** Of the listing; so many descriptors are read in one step, a tenth of a slice. */
const ENTRIES_AT_ONCE = 256

export interface SocketDescriptor {
  fd: number
  inode: number
}

/**
 * The inode of each socket that a process holds, with the lowest descriptor at which it stands.
 *
 * Two processes share a socket exactly if they share an inode. Stdio is not left out: what is at 0 to 2 may be a socket.
 * Empty where there is no /proc, where the process is gone, and where it may not be read.
 */
export const socketInodesOf = async (pid: number): Promise<Map<number, number>> => {
  const inodes = new Map<number, number>()
  try {
    for (const { fd, inode } of await readSocketDescriptors(`/proc/${pid}/fd`, new Slices()))
      if (fd <= (inodes.get(inode) ?? fd)) inodes.set(inode, fd)
  } catch {
    return new Map()
  }
  return inodes
}

/**
 * Every descriptor in a folder `/proc/PID/fd` that is a socket, in no order.
 *
 * @throws what the file system says: ENOENT for a process that is gone, EACCES for one that is not ours.
 */
export const readSocketDescriptors = async (folder: string, slices: Slices): Promise<SocketDescriptor[]> => {
  const found: SocketDescriptor[] = []
  // Not readdir: of ten thousand descriptors that alone blocks for 10 to 25 ms.
  const listing = opendirSync(folder, { bufferSize: ENTRIES_AT_ONCE })
  try {
    for (let entry = listing.readSync(); entry !== null; entry = listing.readSync()) {
      const inode = socketInodeAt(`${folder}/${entry.name}`)
      if (inode !== null) found.push({ fd: Number(entry.name), inode })
      if (slices.isOver) await slices.next()
    }
  } finally {
    listing.closeSync()
  }
  return found
}

/** null: no socket, or closed since it was listed. */
export const socketInodeAt = (path: string): number | null => {
  try {
    const target = readlinkSync(path)
    return target.startsWith('socket:[') ? Number(target.slice(8, -1)) : null
  } catch {
    return null
  }
}
