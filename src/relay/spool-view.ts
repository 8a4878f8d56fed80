// What an operator may look at and do: asked of the owner's desk, because it alone may touch a spool that is in use. The
// files themselves, where no owner runs, are spool-files-view.ts.

import { errnoOf } from '../shared/config-file.js'
import { ForksafeError, messageOf } from '../shared/errors.js'
import { type DeskAnswer, DeskClient } from './desk-client.js'
import { DESK_PATHS, parsed } from './desk-wire.js'
import type { LineStatus } from './owner.js'
import type { KnownMessage, ShownMessage, ShownParked } from './shown-message.js'
import type { SpoolStatus } from './spool.js'

/** Without `connection`: from the files. */
export type ShownLine = SpoolStatus & { client: string } & Partial<Pick<LineStatus, 'connection'>>

export interface SpoolView {
  lines(): Promise<ShownLine[]>
  waiting(client: string, limit: number): Promise<ShownMessage[]>
  parked(client: string, limit: number): Promise<ShownParked[]>
  /** Null: there is none of this id, or it is not known any more. */
  message(client: string, id: string): Promise<KnownMessage | null>
  close(): Promise<void>
}

/** What was done, and what not and why. */
export interface SpoolDeed {
  done: string[]
  failed: { id: string; why: string }[]
}

const TIMEOUT = 5_000

export class DeskView implements SpoolView {
  readonly #desk: DeskClient
  readonly #name: string

  constructor(path: string, name: string) {
    this.#desk = new DeskClient(path, { connections: 1 })
    this.#name = name
  }

  lines(): Promise<ShownLine[]> {
    return this.#get(DESK_PATHS.status, {})
  }

  waiting(client: string, limit: number): Promise<ShownMessage[]> {
    return this.#get(DESK_PATHS.list, { client, limit: String(limit) })
  }

  parked(client: string, limit: number): Promise<ShownParked[]> {
    return this.#get(DESK_PATHS.parked, { client, limit: String(limit) })
  }

  message(client: string, id: string): Promise<KnownMessage | null> {
    return this.#get(DESK_PATHS.message, { client, id })
  }

  /** @param wanted ids, or `all` for all that are parked. */
  retry(client: string, wanted: readonly string[] | 'all'): Promise<SpoolDeed> {
    return this.#do(DESK_PATHS.retry, client, wanted)
  }

  drop(client: string, wanted: readonly string[] | 'all'): Promise<SpoolDeed> {
    return this.#do(DESK_PATHS.drop, client, wanted)
  }

  async close(): Promise<void> {
    this.#desk.close()
  }

  #do(path: string, client: string, wanted: readonly string[] | 'all'): Promise<SpoolDeed> {
    const body = JSON.stringify(wanted === 'all' ? { all: true } : { ids: wanted })
    return this.#get(path, { client }, body)
  }

  /** What it says is taken at its word: it is this version's, and this user's. */
  async #get<Answer>(path: string, query: Record<string, string>, body?: string): Promise<Answer> {
    const target = `${path}?${new URLSearchParams(query)}`
    const { status, text } = await this.#ask(target, body)
    const answer = parsed(text)
    if (status === 200) return answer as Answer
    if (status === 503) throw this.#notRunning('its owner is just leaving; ask again')
    const why =
      typeof answer === 'object' && answer !== null && 'error' in answer ? String(answer.error) : text
    throw new ForksafeError('FORKSAFE_ERR_CONTROL_REFUSED', `relay ${this.#name} refused: ${why}`)
  }

  async #ask(path: string, body: string | undefined): Promise<DeskAnswer> {
    const signal = AbortSignal.timeout(TIMEOUT)
    try {
      return await this.#desk.ask({ path, signal, ...(body === undefined ? {} : { body }) })
    } catch (error) {
      if (signal.aborted)
        throw new ForksafeError(
          'FORKSAFE_ERR_CONTROL_TIMEOUT',
          `relay ${this.#name} did not answer within ${TIMEOUT / 1_000} s on ${this.#desk.path}; it may be stopped or overloaded`,
        )
      if (errnoOf(error) === 'EACCES' || errnoOf(error) === 'EPERM')
        throw new ForksafeError(
          'FORKSAFE_ERR_CONTROL_REFUSED',
          `relay ${this.#name}: no permission to open ${this.#desk.path}; run as the user who started it`,
        )
      throw this.#notRunning(messageOf(error))
    }
  }

  #notRunning(why: string): ForksafeError {
    return new ForksafeError(
      'FORKSAFE_ERR_NOT_RUNNING',
      `no relay named ${this.#name} is running (${why}); name another with --name`,
    )
  }
}
