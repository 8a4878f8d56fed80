// How far a queue is: the last message that was settled. Two slots in one small file of a fixed size, written by turns in
// place, so that it needs no room on a full disk and a torn write leaves the other slot. It is not fsynced: after a crash
// of the machine, messages are sent again; after that of a process nothing is missing, the kernel has it. It also has the
// salt of the spool's records (record.ts), which each segment's header has too.

import { randomInt } from 'node:crypto'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import { errnoOf } from '../../shared/config-file.js'
import type { SpoolFiles } from './spool-files.js'

const SLOT = 32
const SALT_AT = 12

export const progressPath = (folder: string): string => join(folder, 'progress')

export class Progress {
  readonly #files: SpoolFiles
  readonly #fd: number
  #turn: number
  #written: number
  readonly salt: number

  private constructor(files: SpoolFiles, fd: number, { turn, settledThrough, salt }: Slot) {
    this.#files = files
    this.#fd = fd
    this.#turn = turn
    this.#written = settledThrough
    this.salt = salt
  }

  static async open(files: SpoolFiles, folder: string): Promise<Progress> {
    const path = progressPath(folder)
    let fd: number
    try {
      fd = await files.open(path, 'update')
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') throw error
      fd = await files.open(path, 'create')
      await files.write(fd, firstSlots(), 0)
      await files.sync(fd)
      await files.syncFolder(folder)
    }
    return new Progress(files, fd, await readSlots(files, fd))
  }

  /** What the file says now; 0 at the beginning. */
  get settledThrough(): number {
    return this.#written
  }

  /** At once, and so small that no other thread is asked. Throws what the disk answers. */
  write(settledThrough: number): void {
    if (settledThrough === this.#written) return
    const slot = Buffer.alloc(SLOT)
    slot.writeUIntBE(this.#turn + 1, 0, 6)
    slot.writeUIntBE(settledThrough, 6, 6)
    slot.writeUInt32BE(this.salt, SALT_AT)
    slot.writeUInt32BE(crc32(slot.subarray(0, SLOT - 4)), SLOT - 4)
    this.#files.writeNow(this.#fd, slot, ((this.#turn + 1) % 2) * SLOT)
    this.#turn++
    this.#written = settledThrough
  }

  close(): Promise<void> {
    return this.#files.close(this.#fd)
  }
}

/** What the file of a folder says, without changing it; from the beginning where there is none. */
export const readProgress = async (files: SpoolFiles, folder: string): Promise<Slot> => {
  let fd: number
  try {
    fd = await files.open(progressPath(folder), 'read')
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return { turn: 0, settledThrough: 0, salt: 0 }
    throw error
  }
  try {
    return await readSlots(files, fd)
  } finally {
    await files.close(fd)
  }
}

interface Slot {
  turn: number
  settledThrough: number
  salt: number
}

/** Both are whole, so that a torn write leaves the salt. */
const firstSlots = (): Buffer => {
  const slots = Buffer.alloc(2 * SLOT)
  const salt = randomInt(1, 2 ** 32)
  for (const [turn, slot] of [slots.subarray(SLOT), slots.subarray(0, SLOT)].entries()) {
    slot.writeUIntBE(turn + 1, 0, 6)
    slot.writeUInt32BE(salt, SALT_AT)
    slot.writeUInt32BE(crc32(slot.subarray(0, SLOT - 4)), SLOT - 4)
  }
  return slots
}

const readSlots = async (files: SpoolFiles, fd: number): Promise<Slot> => {
  const bytes = Buffer.alloc(2 * SLOT)
  await files.read(fd, bytes, 0)
  let best: Slot = { turn: 0, settledThrough: 0, salt: 0 }
  for (const slot of [bytes.subarray(0, SLOT), bytes.subarray(SLOT)]) {
    const turn = slot.readUIntBE(0, 6)
    const isWhole = crc32(slot.subarray(0, SLOT - 4)) === slot.readUInt32BE(SLOT - 4)
    if (isWhole && turn > best.turn)
      best = { turn, settledThrough: slot.readUIntBE(6, 6), salt: slot.readUInt32BE(SALT_AT) }
  }
  return best
}
