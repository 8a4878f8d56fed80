// What is different for the first process of a container (PID 1): the kernel gives it no default action for signals, and
// orphans become its children. What a container is told about its health: src/control/health-server.ts.

const FIRST = 1

/** One line for somebody who runs us without an init; null where there is one. */
export const missingInit = (pid = process.pid): string | null =>
  pid === FIRST
    ? 'this process is PID 1, with no init before it: processes whose parents have died stay as zombies, because Node waits only for its own children; put tini before it (docs/containers.md), or let the container runtime do it (--init)'
    : null

const EXIT_CODES = { SIGTERM: 128 + 15, SIGINT: 128 + 2 } as const

/**
 * Until the supervisor hears signals itself, PID 1 would sleep through them, and be killed at the end of the grace
 * period: others end by them, and so does it now.
 *
 * @returns the function that gives way to the supervisor's own handlers.
 */
export const endBySignalsAsFirst = (pid = process.pid): (() => void) => {
  if (pid !== FIRST) return () => {}
  const onTerm = (): void => process.exit(EXIT_CODES.SIGTERM)
  const onInt = (): void => process.exit(EXIT_CODES.SIGINT)
  process.on('SIGTERM', onTerm)
  process.on('SIGINT', onInt)
  return () => {
    process.removeListener('SIGTERM', onTerm)
    process.removeListener('SIGINT', onInt)
  }
}
