// Judges what comes in: each message is told once and in order, to listeners and to who iterates; a consumer that lags
// behind holds the upstream back, and what waits for it has a bound.

import type { FakeLink } from './fake-link.js'
import type { Consumer, Records } from './records.js'
import { shown } from './user.js'
import type { Verdicts } from './verdicts.js'

/** As message-stream.ts has it. */
const PRESSED = { count: 64, bytes: 1024 * 1024 }
const FULL = { count: 8_192, bytes: 16 * 1024 * 1024 }

export class ReadingJudge {
  readonly #records: Records
  readonly #verdicts: Verdicts

  constructor(records: Records, verdicts: Verdicts) {
    this.#records = records
    this.#verdicts = verdicts
  }

  /** Before a link is read. */
  reads(link: FakeLink, state: string): void {
    const isProofAwaited = link.frames.some(({ kind, index }) => kind === 'ping' && index > link.provedUpTo)
    // Before it is open a hook may wait for what comes in; after its Close frame nothing more does.
    if (link.openedAt === null || link.isClosedByPeer) return
    for (const consumer of this.#records.consumers) {
      if (consumer.hasLeft || consumer.isDone) continue
      const waiting = this.#records.incoming.slice(consumer.from + consumer.taken)
      const bytes = waiting.reduce((sum, { data }) => sum + data.length, 0)
      const load = `${waiting.length} messages and ${bytes} bytes wait`
      if (waiting.length >= FULL.count || bytes >= FULL.bytes)
        this.#verdicts.violation(
          'what waits for a consumer is bounded',
          `${load} in state ${state}, and more is read`,
        )
      const isPressed = waiting.length >= PRESSED.count || bytes >= PRESSED.bytes
      if (isPressed && state === 'open' && !isProofAwaited)
        this.#verdicts.violation('a slow consumer holds the upstream back', `${load}, and more is read`)
    }
  }

  /** A listener was told. */
  told(data: string | Buffer, epoch: number): void {
    this.#compare('a listener', this.#records.told++, data, epoch)
  }

  consumed({ from, taken }: Consumer, data: string | Buffer, epoch: number): void {
    this.#compare('a consumer', from + taken, data, epoch)
  }

  turnIsOver(): void {
    const { told, incoming } = this.#records
    if (told !== incoming.length)
      this.#verdicts.violation(
        'every incoming message is told, once and in order',
        `${incoming.length} came in, ${told} were told`,
      )
  }

  /** Everything is over: who iterates without a break has had it all. */
  isOver(): void {
    for (const { from, taken, hasLeft, isDone } of this.#records.consumers) {
      if (hasLeft || !isDone) continue
      const missing = this.#records.incoming.length - from - taken
      if (missing !== 0)
        this.#verdicts.violation(
          'every incoming message is told, once and in order',
          `a consumer came to its end and missed ${missing}`,
        )
    }
  }

  #compare(who: string, index: number, data: string | Buffer, epoch: number): void {
    const expected = this.#records.incoming[index]
    if (expected?.data === data && expected.epoch === epoch) return
    this.#verdicts.violation(
      'every incoming message is told, once and in order',
      `${who} got ${shown(data)} of ${epoch} as number ${index}, which is ${expected && shown(expected.data)}`,
    )
  }
}
