// A disk in memory for a spool: it forgets what was not synced when the machine "crashes", and fails at the n-th call.
// It is no file system: it knows what src/relay/spool/spool-files.ts asks for.

import { dirname } from 'node:path'
import type { SpoolFiles } from '../../src/relay/spool/spool-files.js'

interface File {
  data: Buffer
  synced: Buffer
}

/** Which call fails, how, and what of it is done before. */
export interface Fault {
  at: number
  code: string
  /** For `write`: so many bytes of it are in the file nevertheless. */
  partly?: number
}

export class MemoryDisk implements SpoolFiles {
  calls = 0
  fault: Fault | null = null
  /** Nothing can be cut off either. */
  cannotTruncate = false
  /** Whether the fault has come. */
  hasFailed = false
  #names: Map<string, File>
  /** What a crash leaves of names, by folder. */
  #syncedNames: Map<string, File>
  readonly #folders = new Set<string>()
  readonly #open = new Map<number, File>()
  #lastFd = 100

  constructor(names: Map<string, File> = new Map()) {
    this.#names = names
    this.#syncedNames = new Map(names)
    for (const path of names.keys()) this.#folders.add(dirname(path))
  }

  get descriptors(): number {
    return this.#open.size
  }

  /** Bytes as they are, for damage. */
  data(path: string): Buffer | undefined {
    return this.#names.get(path)?.data
  }

  setData(path: string, data: Buffer): void {
    this.#names.set(path, { data, synced: data })
    this.#syncedNames.set(path, { data, synced: data })
    this.#folders.add(dirname(path))
  }

  paths(): string[] {
    return [...this.#names.keys()].sort()
  }

  /** What is there after the process has died: all that it had written. */
  afterKill(): MemoryDisk {
    return new MemoryDisk(
      new Map(
        [...this.#names].map(([path, { data }]) => [
          path,
          { data: Buffer.from(data), synced: Buffer.from(data) },
        ]),
      ),
    )
  }

  /** What is there after the machine has died: what was synced, and of the rest as much as `keep` says, from 0 to 1. */
  afterCrash(keep = 0): MemoryDisk {
    const names = new Map<string, File>()
    for (const [path, { data, synced }] of this.#syncedNames) {
      const extra = Math.floor(Math.max(0, data.length - synced.length) * keep)
      const left = Buffer.concat([synced, data.subarray(synced.length, synced.length + extra)])
      names.set(path, { data: left, synced: Buffer.from(left) })
    }
    return new MemoryDisk(names)
  }

  #call(): void {
    this.calls++
    const { fault } = this
    if (fault === null || this.calls !== fault.at) return
    this.hasFailed = true
    throw failure(fault.code)
  }

  async open(path: string, how: 'create' | 'update' | 'read'): Promise<number> {
    this.#call()
    const there = this.#names.get(path)
    if (how === 'create' && there !== undefined) throw failure('EEXIST')
    if (how !== 'create' && there === undefined) throw failure('ENOENT')
    const file = there ?? { data: Buffer.alloc(0), synced: Buffer.alloc(0) }
    this.#names.set(path, file)
    this.#open.set(++this.#lastFd, file)
    return this.#lastFd
  }

  async close(fd: number): Promise<void> {
    if (!this.#open.delete(fd)) throw failure('EBADF')
  }

  async size(fd: number): Promise<number> {
    this.#call()
    return this.#file(fd).data.length
  }

  async read(fd: number, buffer: Buffer, position: number): Promise<number> {
    return this.#file(fd).data.copy(buffer, 0, position, position + buffer.length)
  }

  async write(fd: number, buffer: Buffer, position: number): Promise<void> {
    this.writeNow(fd, buffer, position)
  }

  writeNow(fd: number, buffer: Buffer, position: number): void {
    const file = this.#file(fd)
    try {
      this.#call()
    } catch (error) {
      put(file, buffer.subarray(0, this.fault?.partly ?? 0), position)
      throw error
    }
    put(file, buffer, position)
  }

  async sync(fd: number): Promise<void> {
    this.#call()
    const file = this.#file(fd)
    file.synced = Buffer.from(file.data)
  }

  async truncate(fd: number, size: number): Promise<void> {
    this.#call()
    if (this.cannotTruncate) throw failure('EIO')
    const file = this.#file(fd)
    file.data = Buffer.from(file.data.subarray(0, size))
    if (file.synced.length > size) file.synced = Buffer.from(file.data)
  }

  async list(folder: string): Promise<string[]> {
    this.#call()
    if (!this.#folders.has(folder) && !this.paths().some((path) => dirname(path) === folder)) {
      if (folder.endsWith('parked')) throw failure('ENOENT')
    }
    return this.paths()
      .filter((path) => dirname(path) === folder)
      .map((path) => path.slice(folder.length + 1))
  }

  async makeFolder(path: string): Promise<void> {
    this.#call()
    if (this.#folders.has(path)) throw failure('EEXIST')
    this.#folders.add(path)
  }

  async syncFolder(folder: string): Promise<void> {
    this.#call()
    for (const path of this.#syncedNames.keys())
      if (dirname(path) === folder && !this.#names.has(path)) this.#syncedNames.delete(path)
    for (const [path, file] of this.#names) if (dirname(path) === folder) this.#syncedNames.set(path, file)
  }

  async rename(from: string, to: string): Promise<void> {
    this.#call()
    const file = this.#names.get(from)
    if (file === undefined) throw failure('ENOENT')
    this.#names.delete(from)
    this.#names.set(to, file)
  }

  async remove(path: string): Promise<void> {
    this.#call()
    this.#names.delete(path)
  }

  async readText(path: string): Promise<string> {
    this.#call()
    const file = this.#names.get(path)
    if (file === undefined) throw failure('ENOENT')
    return file.data.toString('utf8')
  }

  #file(fd: number): File {
    const file = this.#open.get(fd)
    if (file === undefined) throw failure('EBADF')
    return file
  }
}

const put = (file: File, bytes: Buffer, position: number): void => {
  const size = Math.max(file.data.length, position + bytes.length)
  const data = Buffer.alloc(size)
  file.data.copy(data)
  bytes.copy(data, position)
  file.data = data
}

const failure = (code: string): NodeJS.ErrnoException =>
  Object.assign(new Error(`${code}: as on a disk`), { code })
