// Ends what a supervisor that was killed left behind: workers that are stopped or blocked and so could not see it go.
// A recorded pid is signalled only when its start time matches.

import { isAlive, type ProcessIdentity, signalProcess } from '../shared/process-identity.js'

/** Workers that can see that their primary is gone close their connections and leave within this time (ms). */
const LEAVES_BY_ITSELF = 2_000
const GONE_AFTER_KILL = 2_000
const POLL = 20

/** Waits for the leftovers to leave by themselves, kills the rest, and returns those that it had to kill. */
export const endLeftoverWorkers = async (workers: readonly ProcessIdentity[]): Promise<ProcessIdentity[]> => {
  const stubborn = await stillAliveAfter(
    workers.filter((worker) => worker.startTime !== null),
    LEAVES_BY_ITSELF,
  )
  for (const worker of stubborn) signalProcess(worker, 'SIGKILL')
  await stillAliveAfter(stubborn, GONE_AFTER_KILL)
  return stubborn
}

const stillAliveAfter = async (
  workers: readonly ProcessIdentity[],
  ms: number,
): Promise<ProcessIdentity[]> => {
  const deadline = performance.now() + ms
  for (;;) {
    const alive = workers.filter(isAlive)
    if (alive.length === 0 || performance.now() > deadline) return alive
    await new Promise((resolve) => setTimeout(resolve, POLL))
  }
}
