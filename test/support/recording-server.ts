// A WebSocket server in a process of its own, by other people, that writes down what arrives: at once, into a pipe, so
// that all of it is known even when the server is killed in the middle. Which servers there are is test/client/stacks/.
//
// It says, a line each: `listening PORT` (or the path of a unix socket), `got CONNECTION NUMBER SIZE` for a message
// `NUMBER WORD …`, and `closed CONNECTION CODE`. After a message whose word is `stop` it reads no further.

import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { EventEmitter, once } from 'node:events'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { cleanEnv } from './clean-children.js'
import { withDeadline } from './deadline.js'
import { endingWithUs } from './ending-with-us.js'
import type { Arrival } from './judge-delivery.js'

/** What servers that ran one after the other wrote down. */
export class ArrivalLog extends EventEmitter<{ line: [] }> {
  readonly arrivals: Arrival[] = []
  /** By connection. */
  readonly closeCodes = new Map<string, number>()
  #servers = 0

  /** A reader of the lines of one server more. */
  ofServer(): (line: string) => void {
    const server = ++this.#servers
    return (line) => {
      const [word, connection, number, size] = line.split(' ')
      const name = `${server}.${connection}`
      if (word === 'got') this.arrivals.push({ connection: name, number: Number(number), size: Number(size) })
      if (word === 'closed') this.closeCodes.set(name, Number(number))
      this.emit('line')
    }
  }

  /** Settles when what is recorded is as wanted. */
  async until(isWanted: () => boolean, what: string): Promise<void> {
    const look = async (): Promise<void> => {
      while (!isWanted()) await once(this, 'line')
    }
    const last = (): string =>
      `${this.arrivals.length} messages, connections closed: ${JSON.stringify([...this.closeCodes])}`
    await withDeadline(look(), { what, last })
  }
}

export class RecordingServer {
  readonly #child: ChildProcessByStdio<null, Readable, Readable>
  /** Gone, and all that it said has been read. */
  readonly #over: Promise<unknown>
  #complaints = ''
  #isEnding = false
  /** A port, or the path of a unix socket. */
  address = ''

  private constructor(command: readonly string[], log: ArrivalLog) {
    const [program = '', ...args] = endingWithUs('SIGKILL', command)
    this.#child = spawn(program, args, { env: cleanEnv(), stdio: ['ignore', 'pipe', 'pipe'] })
    this.#child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#complaints += text
    })
    const note = log.ofServer()
    const lines = createInterface({ input: this.#child.stdout })
    lines.on('line', (line) => {
      if (line.startsWith('listening ')) this.address = line.slice('listening '.length)
      note(line)
    })
    this.#over = Promise.all([once(this.#child, 'close'), once(lines, 'close')])
  }

  static async start(command: readonly string[], log: ArrivalLog): Promise<RecordingServer> {
    const server = new RecordingServer(command, log)
    const listening = log.until(() => server.address !== '', `${command.join(' ')} to listen`)
    const early = server.#over.then(() => {
      if (!server.#isEnding) throw new Error(`${command.join(' ')} ended: ${server.#complaints}`)
    })
    early.catch(() => {})
    try {
      await Promise.race([listening, early])
    } catch (error) {
      await server.kill()
      throw error
    }
    return server
  }

  get url(): string {
    return `ws://127.0.0.1:${this.address}/`
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal)
  }

  /** By SIGKILL; settles when everything that it wrote down has been read. */
  async kill(): Promise<void> {
    this.#isEnding = true
    this.#child.kill('SIGKILL')
    await this.#over
  }
}
