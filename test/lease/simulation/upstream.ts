// The upstream that every connection goes to, and the way there. It counts a connection as open from when it accepts it
// until a close has reached it; whatever is sent on this machine arrives in the order in which it was sent, so a close
// that was sent before a dial is there before it.

import type { Random } from '../../campaign/random.js'
import type { Loop } from './loop.js'
import type { SimProcess } from './sim-process.js'

/** ms from the machine to the upstream, and back. */
const WAY = 1

export interface LineEvents {
  accepted(): void
  /** Gone: refused, closed by the upstream, or our Close was answered. */
  gone(how: 'refused' | 'closed' | 'superseded' | 'answered'): void
}

export interface UpstreamObserver {
  accepted(line: Line): void
  wrote(line: Line): void
}

export interface UpstreamMood {
  /** ms until it accepts, at most. */
  slowness: number
  isRefusing: boolean
  /** Does not answer Close frames. */
  isRude: boolean
}

export class Line {
  readonly process: SimProcess
  readonly identity: string
  readonly epoch: number
  readonly events: LineEvents
  isCounted = false
  /** Ended by us, or gone: nothing comes from it any more. */
  isOver = false
  readonly #upstream: Upstream

  constructor(upstream: Upstream, process: SimProcess, identity: string, epoch: number, events: LineEvents) {
    this.process = process
    this.identity = identity
    this.epoch = epoch
    this.events = events
    this.#upstream = upstream
  }

  write(): void {
    this.#upstream.observer.wrote(this)
  }

  /** Sends a Close frame; `gone` tells that it was answered. */
  close(): void {
    this.#upstream.closing(this)
  }

  destroy(): void {
    if (this.isOver) return
    this.isOver = true
    this.#upstream.reset(this)
  }
}

export class Upstream {
  mood: UpstreamMood = { slowness: 5, isRefusing: false, isRude: false }
  readonly observer: UpstreamObserver
  readonly #loop: Loop
  readonly #random: Random
  readonly #lines = new Set<Line>()

  constructor(loop: Loop, random: Random, observer: UpstreamObserver) {
    this.#loop = loop
    this.#random = random
    this.observer = observer
  }

  dial(process: SimProcess, identity: string, epoch: number, events: LineEvents): Line {
    const line = new Line(this, process, identity, epoch, events)
    this.#loop.after(WAY, () => this.#arrived(line))
    process.onDeath(() => line.destroy())
    return line
  }

  open(identity: string): Line[] {
    return [...this.#lines].filter((line) => line.isCounted && line.identity === identity)
  }

  /** It ends connections by itself. */
  end(identity: string, how: 'closed' | 'superseded'): void {
    for (const line of this.open(identity)) this.#drop(line, how)
  }

  closing(line: Line): void {
    this.#loop.after(WAY, () => {
      if (!line.isOver && !this.mood.isRude) this.#drop(line, 'answered')
    })
  }

  reset(line: Line): void {
    this.#loop.after(WAY, () => {
      line.isCounted = false
      this.#lines.delete(line)
    })
  }

  #arrived(line: Line): void {
    if (this.mood.isRefusing) return this.#drop(line, 'refused')
    this.#lines.add(line)
    this.#loop.after(this.#random.int(0, this.mood.slowness), () => {
      // A reset may have come first; one that is still on its way changes nothing here.
      if (!this.#lines.has(line)) return
      line.isCounted = true
      this.observer.accepted(line)
      this.#toProcess(line, () => line.events.accepted())
    })
  }

  #drop(line: Line, how: 'refused' | 'closed' | 'superseded' | 'answered'): void {
    line.isCounted = false
    this.#lines.delete(line)
    this.#toProcess(line, () => {
      line.isOver = true
      line.events.gone(how)
    })
  }

  #toProcess(line: Line, run: () => void): void {
    line.process.receive(WAY, () => {
      if (!line.isOver) run()
    })
  }
}
