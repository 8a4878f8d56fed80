// SIGTERM, SIGINT and SIGHUP without the application noticing yet: its own listeners are registered as ever, but run
// at their place at the end of the drain (app-farewell.ts), not when the signal arrives.
//
// Why: pm2's tree kill, Ctrl-C and systemd's control group signal the primary and every worker at once. A textbook
// listener (`server.close(); process.exit()`) that ran at that moment would lose the sockets that the primary has just
// handed over and reset keep-alive connections, before the primary has even decided.
//
// How: when the first listener of a signal is added, Node binds the `process.emit` of that moment to the kernel's
// signal. We add that first listener while `process.emit` is, for this one call, a function of ours. Afterwards
// `process.emit` is again what it was, listeners, listenerCount and once() are Node's own, and an application that
// emits 'SIGTERM' itself reaches its listeners as ever. The price is one listener that does nothing, which also keeps
// the default action (death) away.

export type StopSignal = 'SIGTERM' | 'SIGINT' | 'SIGHUP'

type Listener = (...args: unknown[]) => unknown

export class StopSignals {
  readonly #deliver: (signal: StopSignal) => void
  readonly #holds = new Map<string | symbol, Listener>()

  constructor(signals: readonly StopSignal[], deliver: (signal: StopSignal) => void) {
    this.#deliver = deliver
    for (const signal of signals) {
      this.#holds.set(signal, () => {})
      this.#intercept(signal)
    }
    process.on('removeListener', this.#onRemoved)
  }

  /** The application's own listeners: without ours, and without those of signal-exit if it has no others. */
  appListeners(signal: StopSignal): Listener[] {
    const own = this.#holds.get(signal)
    const others = rawListeners(signal).filter((listener) => listener !== own)
    return others.length === signalExitCount() ? [] : others
  }

  uninstall(): void {
    process.removeListener('removeListener', this.#onRemoved)
    for (const [signal, hold] of this.#holds) process.removeListener(signal, hold)
    this.#holds.clear()
  }

  /** Makes ours the first listener; those that were there before are added again behind it. */
  #intercept(signal: StopSignal): void {
    const hold = this.#holds.get(signal)
    if (hold === undefined) return
    const others = rawListeners(signal).filter((listener) => listener !== hold)
    for (const listener of [...others, hold]) process.removeListener(signal, listener)
    const own = Object.getOwnPropertyDescriptor(process, 'emit')
    const emit = process.emit
    const deliver = (...args: unknown[]): unknown => {
      if (args[0] !== signal || !this.#holds.has(signal)) return Reflect.apply(emit, process, args)
      // A signal that the application has a use of its own for (reopen logs, reload a file) stays the application's.
      if (signal === 'SIGHUP' && this.appListeners(signal).length > 0)
        return Reflect.apply(emit, process, args)
      this.#deliver(signal)
      return true
    }
    Object.defineProperty(process, 'emit', { value: deliver, configurable: true, writable: true })
    try {
      process.on(signal, hold)
    } finally {
      if (own) Object.defineProperty(process, 'emit', own)
      else Reflect.deleteProperty(process, 'emit')
    }
    for (const listener of others) process.on(signal, listener)
  }

  /** After `process.removeAllListeners('SIGTERM')` the default action would be back. */
  readonly #onRemoved = (name: string | symbol, listener: unknown): void => {
    if (this.#holds.get(name) !== listener || !isStopSignal(name)) return
    queueMicrotask(() => {
      const hold = this.#holds.get(name)
      if (hold && !rawListeners(name).includes(hold)) this.#intercept(name)
    })
  }
}

const rawListeners = (signal: string | symbol): Listener[] => process.rawListeners(signal).filter(isListener)

const isListener = (value: unknown): value is Listener => typeof value === 'function'

const isStopSignal = (name: string | symbol): name is StopSignal =>
  name === 'SIGTERM' || name === 'SIGINT' || name === 'SIGHUP'

/**
 * How many listeners of each signal belong to signal-exit, which many packages bring along. They act only where
 * nobody else listens, so an application that has no others has none.
 */
const signalExitCount = (): number => {
  const emitters: unknown[] = [
    Reflect.get(globalThis, Symbol.for('signal-exit emitter')),
    Reflect.get(process, '__signal_exit_emitter__'),
  ]
  return emitters.reduce<number>((sum, emitter) => {
    const count: unknown = typeof emitter === 'object' && emitter !== null ? Reflect.get(emitter, 'count') : 0
    return sum + (typeof count === 'number' ? count : 0)
  }, 0)
}
