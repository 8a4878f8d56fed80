// What an operator may look at where no owner runs: the files themselves, read and never written.

import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { errnoOf } from '../shared/config-file.js'
import { isName } from '../shared/supervisor-name.js'
import { type KnownMessage, type ShownMessage, type ShownParked, show, showParked } from './shown-message.js'
import { readSpool } from './spool/open-spool.js'
import type { ShownLine, SpoolView } from './spool-view.js'

/** Messages that are looked through at once for one id: files have no index of ids. */
const PAGE = 256

export class FilesView implements SpoolView {
  readonly #folder: string
  readonly #spools = new Map<string, ReturnType<typeof readSpool>>()

  /** @param folder of all clients; each has one below. */
  constructor(folder: string) {
    this.#folder = folder
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
    const spool = await this.#spool(client)
    const found = (await spool.parked()).find((each) => each.id === id)
    if (found !== undefined) return { ...showParked(found, true), state: 'parked' }
    for (let after = 0; ; ) {
      const page = await spool.list({ after, limit: PAGE })
      const waiting = page.find((each) => each.id === id)
      if (waiting !== undefined) return { ...show(waiting, true), state: 'queued' }
      const last = page.at(-1)
      if (last === undefined) return null
      after = last.seq
    }
  }

  async close(): Promise<void> {
    for (const spool of this.#spools.values()) await spool.then(({ close }) => close())
  }

  #spool(client: string): ReturnType<typeof readSpool> {
    const known = this.#spools.get(client) ?? readSpool(join(this.#folder, client))
    this.#spools.set(client, known)
    return known
  }
}
