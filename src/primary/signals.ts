// Signals of the primary. A handler only tells which command it means; what follows is decided in the core.

export interface SignalActions {
  stop(reason: string, isRepeated: boolean): void
  reload(reason: string): void
  /** One worker more, or one fewer. */
  scale(by: 1 | -1): void
}

export interface SignalOptions {
  /** Started on a terminal: a hangup means that the terminal was closed, and no orphan may stay. */
  onTerminal: boolean
  /**
   * The terminal's Ctrl-C arrives twice: npm and npx send their child a copy of what the whole process group has
   * already got. Copies within this many ms are the same key stroke. 0 where nobody forwards.
   */
  echoWithin: number
}

/** npm sets these for everything it runs; pm2 (`pm_id`) may signal its tree twice, from the tree and from its root. */
const FORWARDERS = ['npm_lifecycle_event', 'npm_command', 'pm_id']

export const signalEchoOf = (environment: NodeJS.ProcessEnv): number =>
  FORWARDERS.some((variable) => environment[variable] !== undefined) ? 300 : 0

/**
 * TERM and INT stop, a second one ends `shutdownDelay`, the next one stops at once; USR2 rolls; HUP rolls, or stops when started on a terminal.
 * TTIN and TTOU scale up and down by one, as in Puma and Gunicorn. USR1 is taken so that it opens no inspector.
 * The handlers stay for as long as the process lives.
 */
export const installSignals = (actions: SignalActions, { onTerminal, echoWithin }: SignalOptions): void => {
  let firstStop: number | null = null
  const stop = (signal: NodeJS.Signals): void => {
    const now = performance.now()
    if (firstStop !== null && now - firstStop < echoWithin) return
    actions.stop(signal, firstStop !== null)
    firstStop ??= now
  }
  const handlers: [NodeJS.Signals, (signal: NodeJS.Signals) => void][] = [
    ['SIGTERM', stop],
    ['SIGINT', stop],
    ['SIGHUP', onTerminal ? stop : (signal) => actions.reload(signal)],
    ['SIGUSR2', (signal) => actions.reload(signal)],
    ['SIGTTIN', () => actions.scale(1)],
    ['SIGTTOU', () => actions.scale(-1)],
    ['SIGUSR1', () => {}],
  ]
  for (const [signal, handler] of handlers) process.on(signal, handler)
}
