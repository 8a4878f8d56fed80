// The gate that a client passes before it dials. Who paces dials installs one: the runtime of a supervised worker does
// (src/worker/dial-asks.ts). Without one there is nothing to wait for, and a plain script pays nothing.
// It lives under a registered symbol, because the application may import another copy of the package than the runtime's.

export interface Dial {
  /** Scheme, host and port of the upstream, such as `wss://example.org:8443`. */
  readonly origin: string
  /** Aborted when nobody wants the dial any more: its turn goes to the next one. */
  readonly signal: AbortSignal
}

/** Settles when the dial may begin, or its signal is aborted. Never rejects, and settles in bounded time. */
export type DialGate = (dial: Dial) => Promise<void>

const KEY = Symbol.for('forksafe.dial-gate.v1')

const holder = globalThis as { [KEY]?: DialGate | undefined }

/** Puts the gate in place; returns the function that takes it away. */
export const setDialGate = (gate: DialGate): (() => void) => {
  holder[KEY] = gate
  return () => {
    if (holder[KEY] === gate) holder[KEY] = undefined
  }
}

/** What to wait for before the dial; null, at once, where there is no gate, and nobody is asked for a signal. */
export const passDialGate = (origin: string, signal: () => AbortSignal): Promise<void> | null =>
  holder[KEY]?.({ origin, signal: signal() }) ?? null
