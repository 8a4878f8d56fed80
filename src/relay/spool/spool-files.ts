// All that a spool does to the file system, so that in tests the n-th call can fail as a disk does. Thin; what a failure
// means is decided by who calls.

import fs from 'node:fs'
import { promisify } from 'node:util'

export interface SpoolFiles {
  /** `create` fails where there is a file already; `update` and `read` where there is none. */
  open(path: string, how: 'create' | 'update' | 'read'): Promise<number>
  close(fd: number): Promise<void>
  size(fd: number): Promise<number>
  /** @returns how many bytes were read; fewer than the buffer has at the end of the file. */
  read(fd: number, buffer: Buffer, position: number): Promise<number>
  /** Writes all of it, or rejects; what was written then is unknown. */
  write(fd: number, buffer: Buffer, position: number): Promise<void>
  /** The same at once: for pieces so small that another thread would cost more than they do. */
  writeNow(fd: number, buffer: Buffer, position: number): void
  /** Until it is on the disk. */
  sync(fd: number): Promise<void>
  truncate(fd: number, size: number): Promise<void>
  list(folder: string): Promise<string[]>
  makeFolder(path: string): Promise<void>
  /** Names that were added or removed are on the disk. */
  syncFolder(path: string): Promise<void>
  rename(from: string, to: string): Promise<void>
  remove(path: string): Promise<void>
  readText(path: string): Promise<string>
}

const FLAGS = {
  create: fs.constants.O_RDWR | fs.constants.O_CREAT | fs.constants.O_EXCL | fs.constants.O_NOFOLLOW,
  update: fs.constants.O_RDWR | fs.constants.O_NOFOLLOW,
  read: fs.constants.O_RDONLY | fs.constants.O_NOFOLLOW,
}
const PRIVATE = 0o600

// Not `fs.promises`: a FileHandle costs more than the call itself, and the spool makes one for each commit.
const open = promisify(fs.open)
const close = promisify(fs.close)
const fdatasync = promisify(fs.fdatasync)
const ftruncate = promisify(fs.ftruncate)
const fstat = promisify(fs.fstat)

export const nodeFiles: SpoolFiles = {
  open: (path, how) => open(path, FLAGS[how], PRIVATE),
  close,
  size: async (fd) => (await fstat(fd)).size,
  read: (fd, buffer, position) =>
    new Promise((resolve, reject) => {
      fs.read(fd, buffer, 0, buffer.length, position, (error, count) =>
        error === null ? resolve(count) : reject(error),
      )
    }),
  write: (fd, buffer, position) =>
    new Promise((resolve, reject) => {
      const writeFrom = (done: number): void => {
        fs.write(fd, buffer, done, buffer.length - done, position + done, (error, count) => {
          if (error !== null) return reject(error)
          if (done + count >= buffer.length) return resolve()
          writeFrom(done + count)
        })
      }
      writeFrom(0)
    }),
  writeNow: (fd, buffer, position) => {
    for (let done = 0; done < buffer.length; )
      done += fs.writeSync(fd, buffer, done, buffer.length - done, position + done)
  },
  sync: fdatasync,
  truncate: ftruncate,
  list: (folder) => fs.promises.readdir(folder),
  makeFolder: (path) => fs.promises.mkdir(path, { mode: 0o700 }),
  syncFolder: async (path) => {
    const fd = await open(path, fs.constants.O_RDONLY | fs.constants.O_DIRECTORY)
    try {
      await promisify(fs.fsync)(fd)
    } finally {
      await close(fd)
    }
  },
  rename: (from, to) => fs.promises.rename(from, to),
  remove: (path) => fs.promises.rm(path, { force: true }),
  readText: (path) => fs.promises.readFile(path, 'utf8'),
}
