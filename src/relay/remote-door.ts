// The door of a relay worker that is not the owner: passes what it is given to the owner's desk, in batches, and asks the
// next owner where one has gone. Message ids make it harmless to ask again for what may have been taken already.

import { setMaxListeners } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { DeskClient } from './desk-client.js'
import { DESK_PATHS, parsed } from './desk-wire.js'
import type { RelayDoor } from './door.js'
import { FateStream } from './fate-stream.js'
import type { AppendOutcome, Fate, NewMessage } from './messages.js'
import { unavailable, unavailableError } from './refusals.js'
import { RemoteQueue } from './remote-queue.js'

export interface RemoteDoorOptions {
  deskPath: string
  clients: readonly string[]
  /** ms that anything waits for an owner. */
  ownerTimeout: number
  /** Most bytes of bodies that wait for an owner, of all clients. */
  maxBytes?: number
}

const MAX_BYTES = 64 * 1024 * 1024
/** Of what is kept beside a body. */
const OVERHEAD = 512

export class RemoteDoor implements RelayDoor {
  readonly #ownerTimeout: number
  readonly #maxBytes: number
  readonly #client: DeskClient
  readonly #queues: ReadonlyMap<string, RemoteQueue>
  readonly #fates: FateStream
  readonly #drain = new AbortController()
  readonly #end = new AbortController()
  #bytes = 0

  constructor({ deskPath, clients, ownerTimeout, maxBytes = MAX_BYTES }: RemoteDoorOptions) {
    this.#ownerTimeout = ownerTimeout
    this.#maxBytes = maxBytes
    this.#client = new DeskClient(deskPath)
    this.#fates = new FateStream(deskPath)
    // As many as wait for a message to be settled.
    setMaxListeners(0, this.#drain.signal, this.#end.signal)
    const desk = this.#client
    this.#queues = new Map(clients.map((name) => [name, new RemoteQueue(name, desk, ownerTimeout)]))
  }

  has(client: string): boolean {
    return this.#queues.has(client)
  }

  append(client: string, messages: readonly NewMessage[]): Promise<AppendOutcome[]> {
    const queue = this.#queues.get(client)
    const bytes = messages.reduce((sum, { body }) => sum + body.length + OVERHEAD, 0)
    const refuse = (why: string): Promise<AppendOutcome[]> =>
      Promise.resolve(messages.map(({ id }) => unavailable(id, why)))
    if (queue === undefined) return refuse('there is no such client')
    if (messages.length === 0) return Promise.resolve([])
    if (this.#end.signal.aborted) return refuse('the relay is stopping')
    if (this.#bytes + bytes > this.#maxBytes) return refuse('too much waits for the owner of the spool')
    this.#bytes += bytes
    return queue.append(messages).finally(() => {
      this.#bytes -= bytes
    })
  }

  async fate(client: string, id: string): Promise<Fate | null> {
    const path = `${DESK_PATHS.fate}?client=${encodeURIComponent(client)}&id=${encodeURIComponent(id)}`
    const deadline = AbortSignal.timeout(this.#ownerTimeout)
    const signal = AbortSignal.any([deadline, this.#end.signal])
    for (let pause = FIRST_PAUSE; ; pause = Math.min(2 * pause, LONGEST_PAUSE)) {
      const fate = await this.#askFate(path, signal)
      if (fate !== undefined) return fate
      if (signal.aborted) throw unavailableError('no process of the relay owns the spool now')
      await sleep(pause, undefined, { signal }).catch(() => {})
    }
  }

  async #askFate(path: string, signal: AbortSignal): Promise<Fate | null | undefined> {
    try {
      const { status, text } = await this.#client.ask({ path, signal })
      const answer = status === 200 ? parsed(text) : undefined
      return isFateAnswer(answer) ? answer.fate : undefined
    } catch {
      return undefined
    }
  }

  async settled(client: string, id: string, signal: AbortSignal): Promise<Fate | null> {
    const ends = [signal, this.#drain.signal]
    if (ends.some(({ aborted }) => aborted)) return this.fate(client, id)
    let end = (): void => {}
    const fate = await new Promise<Fate | null | undefined>((resolve) => {
      const forget = this.#fates.wait(client, id, resolve)
      end = () => {
        forget()
        resolve(undefined)
      }
      for (const each of ends) each.addEventListener('abort', end)
    })
    for (const each of ends) each.removeEventListener('abort', end)
    return fate === undefined ? this.fate(client, id) : fate
  }

  /** Who waits for a message to be settled is answered at once from here on. */
  beginDrain(): void {
    this.#drain.abort()
  }

  /** Refuses what still waits. */
  close(): void {
    this.beginDrain()
    this.#end.abort()
    for (const queue of this.#queues.values()) queue.close()
    this.#fates.close()
    this.#client.close()
  }
}

const FIRST_PAUSE = 20
const LONGEST_PAUSE = 200

const isFateAnswer = (answer: unknown): answer is { fate: Fate | null } =>
  typeof answer === 'object' && answer !== null && 'fate' in answer
