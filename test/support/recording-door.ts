// A door of a relay that keeps nothing on disk and wrote down what was appended: for tests of what stands before it.

import type { RelayDoor } from '../../src/relay/door.js'
import type { AppendOutcome, Fate, NewMessage, Refusal } from '../../src/relay/messages.js'

export interface Appended extends NewMessage {
  client: string
}

export class RecordingDoor implements RelayDoor {
  readonly appended: Appended[] = []
  /** How many calls are held back until {@link open}; null: none. */
  held: (() => void)[] | null = null
  refusal: Refusal | null = null
  /** Makes `fate` reject. */
  unreachable: Error | null = null
  readonly #clients: readonly string[]
  readonly #fates = new Map<string, Fate>()
  readonly #contents = new Map<string, string>()
  readonly #waiters = new Set<() => void>()

  constructor(clients: readonly string[] = ['feed']) {
    this.#clients = clients
  }

  has(client: string): boolean {
    return this.#clients.includes(client)
  }

  async append(client: string, messages: readonly NewMessage[]): Promise<AppendOutcome[]> {
    if (this.held !== null) await new Promise<void>((resolve) => this.held?.push(resolve))
    return messages.map((message) => this.#append(client, message))
  }

  async fate(_client: string, id: string): Promise<Fate | null> {
    if (this.unreachable !== null) throw this.unreachable
    return this.#fates.get(id) ?? null
  }

  async settled(_client: string, id: string, signal: AbortSignal): Promise<Fate | null> {
    while (!signal.aborted && this.#fates.get(id)?.state === 'queued') {
      await new Promise<void>((resolve) => {
        const wake = (): void => {
          this.#waiters.delete(wake)
          signal.removeEventListener('abort', wake)
          resolve()
        }
        this.#waiters.add(wake)
        signal.addEventListener('abort', wake)
      })
    }
    return this.#fates.get(id) ?? null
  }

  /** How many wait for a fate. */
  get waiting(): number {
    return this.#waiters.size
  }

  settle(id: string, change: Partial<Fate>): void {
    const fate = this.#fates.get(id)
    if (fate === undefined) throw new Error(`${id} was not appended`)
    this.#fates.set(id, { ...fate, settledAt: 2, ...change })
    for (const wake of [...this.#waiters]) wake()
  }

  /** Lets through what was held. */
  open(): void {
    const held = this.held ?? []
    this.held = null
    for (const go of held) go()
  }

  #append(client: string, message: NewMessage): AppendOutcome {
    const { id } = message
    if (this.refusal !== null) return { outcome: 'refused', id, refusal: this.refusal }
    const content = `${client} ${message.isBinary} ${message.key} ${message.body.toString('latin1')}`
    const known = this.#fates.get(id)
    if (known !== undefined) {
      return this.#contents.get(id) === content
        ? { outcome: 'duplicate', id, fate: known }
        : { outcome: 'conflict', id }
    }
    const seq = this.appended.push({ client, ...message })
    this.#contents.set(id, content)
    this.#fates.set(id, {
      id,
      state: 'queued',
      seq,
      acceptedAt: 1,
      settledAt: null,
      reason: null,
      receipt: null,
    })
    return { outcome: 'accepted', id, seq }
  }
}
