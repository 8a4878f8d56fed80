// The sockets that node:cluster hands to one worker: none before the worker is admitted, none lost when it dies.
//
// The round robin of node:cluster gives a new worker connections from the moment it listens, and a connection that was
// handed over and not acknowledged when its worker dies is never taken back: the client hangs. Both are answered here
// in the words of the cluster's own protocol, as a worker that is leaving answers: "not accepted", and the primary gives
// the connection to the next one. A worker acknowledges before it reads the first byte, so nothing is served twice.
//
// This knows the shape of two internal messages (`newconn` and its acknowledgement, the same since Node 0.12); messages of
// another shape pass untouched, and then these two promises are not kept, and no other is touched.

import type { ChildProcess } from 'node:child_process'

/** How long a connection waits before the round robin is told to try another worker: it would ask again at once. */
const RETRY_AFTER = 5

/** By then everything that a dead worker wrote has been read, and node:cluster has taken it off its list. */
const AFTER_EXIT = 50

/** Those whose workers take connections: they listen, and are neither held back nor on their way out. */
const taking = new Set<HandOffs>()

interface Closable {
  close(): void
  reset?(): unknown
}

export class HandOffs {
  readonly #child: ChildProcess
  readonly #unanswered = new Map<number, Closable>()
  #isAdmitted: boolean
  #isListening = false
  #isLeaving = false

  /** @param isAdmitted false: the worker is handed nothing until {@link admit}. */
  constructor(child: ChildProcess, isAdmitted: boolean) {
    this.#child = child
    this.#isAdmitted = isAdmitted
    const send = child.send
    const intercept = (...args: unknown[]): boolean => {
      const [message, handle] = args
      const number = numberOfHandOff(message)
      if (number !== null && isClosable(handle)) {
        if (!this.#isAdmitted) {
          setTimeout(() => this.#refuse(number), RETRY_AFTER)
          return true
        }
        this.#unanswered.set(number, handle)
      }
      return Reflect.apply(send, child, args) === true
    }
    Object.defineProperty(child, 'send', { value: intercept, configurable: true, writable: true })
    child.on('internalMessage', (message: unknown) => {
      if (fieldOf(message, 'act') === 'listening' && fieldOf(message, 'cmd') === CLUSTER) {
        this.#isListening = true
        this.#noteTaking()
      }
      const answered = fieldOf(message, 'ack')
      if (typeof answered !== 'number') return
      const handle = this.#unanswered.get(answered)
      this.#unanswered.delete(answered)
      if (handle !== undefined && fieldOf(message, 'accepted') === false)
        setImmediate(closeIfStranded, handle)
    })
    // Not at 'disconnect': Node does not emit it when a hand-off was under way.
    child.once('exit', () => {
      this.leaving()
      setTimeout(() => this.#takeBack(), AFTER_EXIT).unref()
    })
  }

  /** From now on it takes part in the round robin. */
  admit(): void {
    this.#isAdmitted = true
    this.#noteTaking()
  }

  /** It has been told to leave: what it does not take any more goes to others, if there are any. */
  leaving(): void {
    this.#isLeaving = true
    this.#noteTaking()
  }

  #noteTaking(): void {
    if (this.#isAdmitted && this.#isListening && !this.#isLeaving) taking.add(this)
    else taking.delete(this)
  }

  #takeBack(): void {
    for (const [number, handle] of this.#unanswered) {
      this.#refuse(number)
      closeIfStranded(handle)
    }
    this.#unanswered.clear()
  }

  #refuse(number: number): void {
    this.#child.emit('internalMessage', { cmd: CLUSTER, ack: number, accepted: false })
  }
}

/**
 * With its last worker node:cluster gives up the listener, and what that worker refused at the last moment waits in its
 * queue for ever: a reset is better than a client that hangs.
 */
const closeIfStranded = (handle: Closable): void => {
  if (taking.size > 0) return
  // Only TCP has it: a reset says that nothing was done, an end would look like an answer that was cut off.
  if (typeof handle.reset === 'function') handle.reset()
  else handle.close()
}

const CLUSTER = 'NODE_CLUSTER'

const numberOfHandOff = (message: unknown): number | null => {
  const number = fieldOf(message, 'seq')
  const isHandOff = fieldOf(message, 'cmd') === CLUSTER && fieldOf(message, 'act') === 'newconn'
  return isHandOff && typeof number === 'number' ? number : null
}

const fieldOf = (value: unknown, name: string): unknown =>
  typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined

const isClosable = (value: unknown): value is Closable => typeof fieldOf(value, 'close') === 'function'
