// When this worker counts as ready: which of the possible signs come, and which of them the mode accepts.
// process.send('ready'), as apps written for pm2 say it, is seen by the primary itself.

import type { ReadyBy } from '../shared/protocol.js'
import { onResourceChange, resourcesNewestFirst } from '../shared/resources.js'
import type { Readiness as Mode } from '../shared/worker-environment.js'

const ACCEPTED: Record<Mode, readonly ReadyBy[]> = {
  auto: ['listening', 'ready()', 'clients'],
  listening: ['listening'],
  ready: ['ready()'],
}

const WAITING_FOR: Record<Mode, string> = {
  auto: "a listening server, ready(), process.send('ready') or open clients",
  listening: 'a listening server',
  ready: "ready() or process.send('ready')",
}

export class Readiness {
  readonly #mode: Mode
  readonly #onReady: (by: ReadyBy) => void
  readonly #stopWatching: () => void
  #isReady = false
  #isCheckPending = false
  #isListenCalled = false

  constructor(mode: Mode, onReady: (by: ReadyBy) => void) {
    this.#mode = mode
    this.#onReady = onReady
    this.#stopWatching = onResourceChange(() => this.#checkClientsSoon())
  }

  /** The first accepted sign makes the worker ready; later ones do nothing. */
  sign(by: ReadyBy): void {
    if (this.#isReady || !ACCEPTED[this.#mode].includes(by)) return
    this.#isReady = true
    this.#stopWatching()
    this.#onReady(by)
  }

  /** A server is about to listen: its word counts, not that of clients which happened to be open before. */
  listenCalled(): void {
    this.#isListenCalled = true
  }

  waitingFor(): string[] {
    return this.#isReady ? [] : [WAITING_FOR[this.#mode]]
  }

  /** In a turn of its own: a module that creates several clients has created all of them by then. */
  #checkClientsSoon(): void {
    if (this.#isCheckPending) return
    this.#isCheckPending = true
    setImmediate(() => {
      this.#isCheckPending = false
      if (!this.#isListenCalled && areClientsOpen()) this.sign('clients')
    })
  }
}

const areClientsOpen = (): boolean => {
  const wanted = resourcesNewestFirst().filter((resource) => resource.isWanted())
  return wanted.length > 0 && wanted.every((one) => one.isOpen() || one.isStandingBy?.() === true)
}
