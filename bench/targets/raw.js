// The hand-written primary, the measure of all others: bench/peers/raw-primary.js.
import { launch } from '../kit/launch.js'
import { APP } from '../kit/service.js'

/** @type {import('../kit/service.js').Target} */
export const raw = {
  name: 'raw',
  start: async ({ workers, port }) => {
    const startedAt = performance.now()
    const { pid, end } = launch(['bench/peers/raw-primary.js', APP, String(workers)], { PORT: String(port) })
    const roll = async () => process.kill(pid, 'SIGUSR2')
    return { startedAt, primary: () => pid, roll, list: null, end }
  },
}
