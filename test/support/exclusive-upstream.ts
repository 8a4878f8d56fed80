// The upstream of exclusive connections, in a process of its own, so that neither its clock nor its loop is the test's.
// What it does is fixtures/exclusive-server.js; what it wrote down is judged by judge-exclusive.ts.

import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { EventEmitter, once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { cleanEnv } from './clean-children.js'
import { withDeadline } from './deadline.js'
import { endingWithUs } from './ending-with-us.js'
import { readUpstreamLine, readUpstreamLog, type UpstreamEvent } from './exclusive-log.js'

const PROGRAM = fileURLToPath(new URL('./fixtures/exclusive-server.js', import.meta.url))
const BEGIN_BOUND = 30_000
const ANSWER_BOUND = 10_000

export interface OpenConnection {
  connection: number
  identity: string
  who: string
  openedAt: number
}

export class ExclusiveUpstream {
  readonly logFile: string
  /** Everything but messages, which only the file has. */
  readonly events: UpstreamEvent[] = []
  readonly #open = new Map<number, OpenConnection>()
  readonly #said = new EventEmitter<{ line: [] }>()
  readonly #answers: string[] = []
  readonly #child: ChildProcessByStdio<Writable, Readable, Readable>
  readonly #over: Promise<unknown>
  #complaints = ''
  #port = ''

  private constructor(folder: string, port: number) {
    this.logFile = join(folder, 'upstream.log')
    const command = [process.execPath, PROGRAM, this.logFile, `${port}`]
    const [program = '', ...args] = endingWithUs('SIGKILL', command)
    this.#child = spawn(program, args, { env: cleanEnv(), stdio: 'pipe' })
    this.#child.stdin.on('error', () => {})
    this.#child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#complaints += text
    })
    const lines = createInterface({ input: this.#child.stdout })
    lines.on('line', (line) => this.#note(line))
    this.#over = Promise.all([once(this.#child, 'close'), once(lines, 'close')])
    this.#said.setMaxListeners(0)
  }

  /**
   * @param folder where its log is written.
   * @param port that of one that was killed; default: a free one.
   */
  static async start(folder: string, port = 0): Promise<ExclusiveUpstream> {
    const upstream = new ExclusiveUpstream(folder, port)
    try {
      await upstream.until(() => upstream.#port !== '', 'the upstream to listen', BEGIN_BOUND)
    } catch (error) {
      await upstream.stop()
      throw error
    }
    return upstream
  }

  /** Of an identity; who it is that connects, it says itself: `?who=`. */
  url(identity: string): string {
    return `ws://127.0.0.1:${this.#port}/${identity}`
  }

  /** Connections that are not over, in the order of their opening. */
  open(identity: string): OpenConnection[] {
    return [...this.#open.values()].filter((each) => each.identity === identity)
  }

  /** When the identity was opened for the first time after a moment; null: never yet. */
  openedAfter(identity: string, moment: number): number | null {
    const found = this.events.find(
      (event) => event.type === 'open' && event.identity === identity && event.at > moment,
    )
    return found?.at ?? null
  }

  /** Settles when what it has seen is as wanted. */
  async until(isWanted: () => boolean, what: string, timeout?: number): Promise<void> {
    const look = async (): Promise<void> => {
      while (!isWanted()) await once(this.#said, 'line')
    }
    const last = (): string => `${JSON.stringify(this.events.slice(-12))} ${this.#complaints}`
    await withDeadline(look(), { what, last, ...(timeout === undefined ? {} : { timeout }) })
  }

  /** Settles when the command is done. */
  async tell(command: string): Promise<void> {
    const before = this.#answers.length
    this.#child.stdin.write(`${command}\n`)
    await this.until(
      () => this.#answers.indexOf(command, before) !== -1,
      `the upstream to do ${command}`,
      ANSWER_BOUND,
    )
  }

  /** Everything so far, messages included. */
  log(): UpstreamEvent[] {
    return readUpstreamLog(readFileSync(this.logFile, 'utf8'))
  }

  get port(): number {
    return Number(this.#port)
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal)
  }

  kill(): void {
    this.signal('SIGKILL')
  }

  async stop(): Promise<void> {
    this.kill()
    await this.#over
  }

  #note(line: string): void {
    if (line.startsWith('listening ')) this.#port = line.slice('listening '.length)
    if (line.startsWith('did ')) this.#answers.push(line.slice('did '.length))
    const event = readUpstreamLine(line)
    if (event !== null) this.events.push(event)
    if (event?.type === 'open') {
      const { connection, identity, who, at } = event
      this.#open.set(connection, { connection, identity, who, openedAt: at })
    } else if (event?.type === 'gone' || event?.type === 'handshake') this.#open.delete(event.connection)
    this.#said.emit('line')
  }
}
