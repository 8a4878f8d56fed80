// What a long operation looks like on a terminal: one line for each worker slot that changes in place.
// Decides what the lines say; who draws them is src/cli/render/operation.ts.

import { printable } from '../../shared/printable.js'
import type { Progress } from '../../shared/progress.js'
import type { Colors } from '../screen.js'
import { formatSeconds } from './figures.js'
import { paintState } from './status.js'

interface ShownWorker {
  pid: number
  generation: number
  state: string
  note: string
}

export class LiveWorkers {
  readonly #colors: Colors
  readonly #slots = new Map<number, ShownWorker[]>()

  constructor(colors: Colors) {
    this.#colors = colors
  }

  apply(progress: Progress): void {
    switch (progress.event) {
      case 'workerStarting':
        return this.#set(progress.slot, { ...progress, state: 'starting', note: '' })
      case 'workerReady':
        return this.#set(progress.slot, { ...progress, state: 'ready', note: formatSeconds(progress.ms) })
      case 'workerDraining':
        return this.#set(progress.slot, { ...progress, state: 'draining', note: '' })
      case 'workerExited':
        return this.#set(progress.slot, {
          ...progress,
          state: progress.expected ? 'gone' : 'died',
          note: printable(progress.reason),
        })
      case 'workerWaiting': {
        const note = `${formatSeconds(progress.ms)}: ${printable(progress.reason)}`
        return this.#set(progress.slot, {
          pid: 0,
          generation: Number.POSITIVE_INFINITY,
          state: 'waiting',
          note,
        })
      }
      default:
    }
  }

  /** One line a slot: the newest worker, and the older ones that are still on their way out. */
  lines(columns: number): string[] {
    const slots = [...this.#slots].sort(([a], [b]) => a - b)
    return slots.map(([slot, workers]) => {
      const [newest, ...older] = [...workers].sort((a, b) => b.generation - a.generation || b.pid - a.pid)
      if (newest === undefined) return `worker ${slot}`
      const who = newest.pid === 0 ? '' : `  pid ${newest.pid}  generation ${newest.generation}`
      const leaving = older
        .filter(({ state }) => state === 'draining')
        .map(({ pid }) => `  (pid ${pid} draining)`)
      const head = `worker ${slot}  `
      const rest = cut(
        `${who}  ${newest.note}${leaving.join('')}`.trimEnd(),
        columns - head.length - STATE_WIDTH,
      )
      return `${head}${paintState(newest.state, this.#colors)(newest.state.padEnd(STATE_WIDTH))}${rest}`
    })
  }

  #set(slot: number, { pid, generation, state, note }: ShownWorker): void {
    const others = (this.#slots.get(slot) ?? []).filter((worker) => worker.pid !== pid && worker.pid !== 0)
    // A worker that left is only shown until something newer is known of its slot.
    const shown = others.filter((worker) => worker.state !== 'gone' && worker.state !== 'died')
    this.#slots.set(slot, [...shown, { pid, generation, state, note }])
  }
}

const STATE_WIDTH = 'starting'.length

/** To the width of the screen, less one: a full line would wrap and upset the redrawing. */
const cut = (text: string, width: number): string =>
  text.length < width ? text : `${text.slice(0, Math.max(0, width - 2))}…`
