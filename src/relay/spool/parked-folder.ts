// Messages that were given up, one JSON file each, so that a person can read them with the relay's tools or without.

import { join } from 'node:path'
import { errnoOf } from '../../shared/config-file.js'
import { messageOf as reasonOf } from '../../shared/errors.js'
import type { SpooledMessage } from '../messages.js'
import type { ParkedMessage } from '../spool.js'
import type { SpoolFiles } from './spool-files.js'

interface Kept {
  seq: number
  acceptedAt: number
  parkedAt: number
  reason: string
  bytes: number
}

export class ParkedFolder {
  readonly #files: SpoolFiles
  readonly #folder: string
  readonly #warn: (text: string) => void
  readonly #byId = new Map<string, Kept>()
  #isThere = false
  #bytes = 0

  private constructor(files: SpoolFiles, folder: string, warn: (text: string) => void) {
    this.#files = files
    this.#folder = join(folder, 'parked')
    this.#warn = warn
  }

  static async open(files: SpoolFiles, folder: string, warn: (text: string) => void): Promise<ParkedFolder> {
    const parked = new ParkedFolder(files, folder, warn)
    for (const message of await parked.all()) parked.#keep(message)
    return parked
  }

  get count(): number {
    return this.#byId.size
  }

  get bytes(): number {
    return this.#bytes
  }

  find(id: string): Kept | null {
    return this.#byId.get(id) ?? null
  }

  /** Settles when it is on disk. @throws what the disk answers; nothing is parked then. */
  async add(message: SpooledMessage, reason: string, parkedAt: number): Promise<void> {
    const path = this.#pathOf(message.seq)
    const draft = `${path}.draft`
    const { body, ...rest } = message
    const text = Buffer.from(
      `${JSON.stringify({ ...rest, reason, parkedAt, body: body.toString('base64') })}\n`,
    )
    await this.#makeFolder()
    await this.#files.remove(draft)
    const fd = await this.#files.open(draft, 'create')
    try {
      await this.#files.write(fd, text, 0)
      await this.#files.sync(fd)
    } catch (error) {
      await this.#files.remove(draft).catch(() => {})
      throw error
    } finally {
      await this.#files.close(fd)
    }
    await this.#files.rename(draft, path)
    await this.#files.syncFolder(this.#folder)
    this.#keep({ ...message, reason, parkedAt })
  }

  /** All of them, oldest first. */
  async all(): Promise<ParkedMessage[]> {
    const names = await this.#files.list(this.#folder).catch((error: unknown) => {
      if (errnoOf(error) === 'ENOENT') return []
      throw error
    })
    this.#isThere ||= names.length > 0
    const messages: ParkedMessage[] = []
    for (const name of names.filter((each) => each.endsWith('.json')).sort()) {
      const message = await this.#read(join(this.#folder, name))
      if (message !== null) messages.push(message)
    }
    return messages
  }

  async get(id: string): Promise<ParkedMessage | null> {
    const kept = this.#byId.get(id)
    return kept === undefined ? null : this.#read(this.#pathOf(kept.seq))
  }

  async remove(id: string): Promise<boolean> {
    const kept = this.#byId.get(id)
    if (kept === undefined) return false
    await this.#files.remove(this.#pathOf(kept.seq))
    await this.#files.syncFolder(this.#folder)
    this.#byId.delete(id)
    this.#bytes -= kept.bytes
    return true
  }

  async #makeFolder(): Promise<void> {
    if (this.#isThere) return
    await this.#files.makeFolder(this.#folder).catch((error: unknown) => {
      if (errnoOf(error) !== 'EEXIST') throw error
    })
    this.#isThere = true
  }

  async #read(path: string): Promise<ParkedMessage | null> {
    try {
      const message = parse(await this.#files.readText(path))
      if (message !== null) return message
      this.#warn(`${path}: is no message and is left alone`)
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') this.#warn(`${path}: ${reasonOf(error)}`)
    }
    return null
  }

  #keep({ id, seq, acceptedAt, parkedAt, reason, body }: ParkedMessage): void {
    const bytes = Math.ceil((body.length * 4) / 3) + 300
    this.#bytes += bytes - (this.#byId.get(id)?.bytes ?? 0)
    this.#byId.set(id, { seq, acceptedAt, parkedAt, reason, bytes })
  }

  #pathOf(seq: number): string {
    return join(this.#folder, `${String(seq).padStart(15, '0')}.json`)
  }
}

const parse = (text: string): ParkedMessage | null => {
  let raw: unknown
  try {
    raw = JSON.parse(text)
  } catch {
    return null
  }
  if (typeof raw !== 'object' || raw === null) return null
  const field = (name: string): unknown => Reflect.get(raw, name)
  const [id, key, isBinary, expiresAt] = [field('id'), field('key'), field('isBinary'), field('expiresAt')]
  const [seq, acceptedAt, parkedAt] = [field('seq'), field('acceptedAt'), field('parkedAt')]
  const [reason, body] = [field('reason'), field('body')]
  if (typeof id !== 'string' || typeof isBinary !== 'boolean' || typeof body !== 'string') return null
  if (typeof seq !== 'number' || typeof acceptedAt !== 'number' || typeof parkedAt !== 'number') return null
  return {
    id,
    key: typeof key === 'string' ? key : null,
    isBinary,
    expiresAt: typeof expiresAt === 'number' ? expiresAt : null,
    seq,
    acceptedAt,
    parkedAt,
    reason: typeof reason === 'string' ? reason : '',
    body: Buffer.from(body, 'base64'),
  }
}
