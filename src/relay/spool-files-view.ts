// What an operator may look at where no owner runs: the files themselves, read and never written.

import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { errnoOf } from '../shared/config-file.js'
import { isName } from '../shared/option-values.js'
import { type KnownMessage, type ShownMessage, type ShownParked, show, showParked } from './shown-message.js'
import type { Spool, SpoolStatus } from './spool.js'
import type { ShownLine, SpoolView } from './spool-view.js'

/** `readSpool` of src/relay/spool/open-spool.ts. */
export type ReadSpool = (
  folder: string,
) => Promise<{ status: SpoolStatus } & Pick<Spool, 'list' | 'parked' | 'fate'>>

export class FilesView implements SpoolView {
  readonly #folder: string
  readonly #read: ReadSpool
  readonly #spools = new Map<string, ReturnType<ReadSpool>>()

  /** @param folder of all clients; each has one below. */
  constructor(folder: string, read: ReadSpool) {
    this.#folder = folder
    this.#read = read
  }

  /** Null: there is no such folder. */
  async clients(): Promise<string[] | null> {
    try {
      const entries = await readdir(this.#folder, { withFileTypes: true })
      return entries
        .filter((entry) => entry.isDirectory() && isName(entry.name))
        .map(({ name }) => name)
        .sort()
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return null
      throw error
    }
  }

  async lines(): Promise<ShownLine[]> {
    const lines: ShownLine[] = []
    for (const client of (await this.clients()) ?? [])
      lines.push({ client, ...(await this.#spool(client)).status })
    return lines
  }

  async waiting(client: string, limit: number): Promise<ShownMessage[]> {
    return (await (await this.#spool(client)).list({ limit })).map((message) => show(message))
  }

  async parked(client: string, limit: number): Promise<ShownParked[]> {
    const parked = await (await this.#spool(client)).parked()
    return parked.slice(0, limit).map((message) => showParked(message))
  }

  async message(client: string, id: string): Promise<KnownMessage | null> {
    return findMessage(await this.#spool(client), id)
  }

  #spool(client: string): ReturnType<ReadSpool> {
    const known = this.#spools.get(client) ?? this.#read(join(this.#folder, client))
    this.#spools.set(client, known)
    return known
  }
}

/** What is known of one message, with its body where it waits or is parked. */
export const findMessage = async (
  spool: Pick<Spool, 'list' | 'parked' | 'fate'>,
  id: string,
): Promise<KnownMessage | null> => {
  const found = (await spool.parked()).find((each) => each.id === id)
  if (found !== undefined) return { ...showParked(found, true), state: 'parked' }
  const known = await spool.fate(id)
  if (known?.state !== 'queued') return known
  const [waiting] = await spool.list({ after: known.seq - 1, limit: 1 })
  return waiting?.id === id ? { ...show(waiting, true), ...known } : known
}
