// One sender of a round: the program fixtures/sending-client.js in a process of its own, and what it said.

import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { cleanEnv } from '../../support/clean-children.js'
import { withDeadline } from '../../support/deadline.js'
import type { Sent } from '../../support/judge-delivery.js'
import type { SenderPlan } from './plan.js'

const PROGRAM = fileURLToPath(new URL('../fixtures/sending-client.js', import.meta.url))
/** Numbers of one sender begin here, and end before the next: nobody sends so many. */
const NUMBERS_EACH = 1_000_000
/** For draining and closing after the last fault (ms). */
const END_BOUND = 30_000

const SHORT = {
  connectTimeout: 500,
  backoff: { min: 5, max: 60 },
  heartbeatInterval: 100,
  heartbeatTimeout: 150,
  receiptTimeout: 600,
  closeTimeout: 500,
}

export class Sender {
  readonly plan: SenderPlan
  readonly sent = new Map<number, Sent>()
  /** What its client's own counts broke, and what it wrote to stderr. */
  readonly complaints: string[] = []
  /** The client's counts at its end. */
  end = 'none'
  readonly #first: number
  readonly #child: ChildProcessByStdio<Writable, Readable, Readable>
  readonly #over: Promise<unknown>
  #tellProved: () => void = () => {}
  #isProved = false
  /** Its client knows that the peer answers pings: one that never has may be taken for one that does not. */
  readonly proved = new Promise<void>((resolve) => {
    this.#tellProved = resolve
  })

  /** @param drainFor ms for what is pending when it is told to finish; then it closes. */
  constructor(index: number, plan: SenderPlan, { url, drainFor }: { url: string; drainFor: number }) {
    this.plan = plan
    this.#first = index * NUMBERS_EACH
    const { onUnconfirmed, isBounded, whenFull, seed, isBoasting = false } = plan
    const maxPending = isBounded ? { count: 100 } : { count: 100_000, bytes: '1G' }
    const options = { ...SHORT, onUnconfirmed, whenFull, maxPending, drainTimeout: 300 }
    const task = { url, options, first: this.#first, seed, drainFor, isBounded, isBoasting }
    this.#child = spawn(process.execPath, [PROGRAM, JSON.stringify(task)], {
      env: cleanEnv(),
      stdio: ['pipe', 'pipe', 'pipe'],
    })
    this.#child.stdin.on('error', () => {})
    const lines = createInterface({ input: this.#child.stdout })
    lines.on('line', (line) => this.#note(line))
    this.#child.stderr.setEncoding('utf8').on('data', (text: string) => this.#complain(text.trim()))
    this.#over = Promise.all([once(this.#child, 'close'), once(lines, 'close')])
  }

  owns(number: number): boolean {
    return number > this.#first && number <= this.#first + NUMBERS_EACH
  }

  /** No more messages; settles when what is pending is settled and the program has ended. */
  async finish(): Promise<void> {
    this.#child.stdin.write('finish\n')
    await withDeadline(this.#over, { what: 'a sender to finish', timeout: END_BOUND, last: () => this.end })
    if (this.#child.exitCode !== 0)
      this.complaints.push(`it ended with ${this.#child.signalCode ?? this.#child.exitCode}`)
  }

  kill(): void {
    this.#child.kill('SIGKILL')
  }

  /** On a machine so busy that the first pong takes longer than receiptTimeout, a client says so, and is right. */
  #complain(text: string): void {
    const isTooEarly = !this.#isProved && text.includes('FORKSAFE_WARN_RECEIPTS_DEGRADED')
    if (!isTooEarly) this.complaints.push(text)
  }

  #note(line: string): void {
    const [word, number, what = ''] = line.split(' ', 3)
    const message = this.sent.get(Number(number))
    if (word === 'sent')
      this.sent.set(Number(number), { number: Number(number), size: Number(what), outcome: null })
    else if (word === 'said' && message !== undefined) {
      if (message.outcome !== null) this.complaints.push(`message ${number} was settled twice`)
      message.outcome = /^[a-z]/.test(what) ? { level: what } : { code: what }
      if (what !== 'received') return
      this.#isProved = true
      this.#tellProved()
    } else if (word === 'end') this.end = line.slice('end '.length)
    else this.complaints.push(line)
  }
}
