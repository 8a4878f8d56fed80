// Messages to systemd, by its own systemd-notify: Node has no datagram socket of the unix kind. One at a time, so that
// they keep their order, and each bounded. What is said, and when, is src/manager/notify-plan.ts.
//
// systemd-notify ends when systemd has read the message (BARRIER=1). That is needed: systemd asks which unit the process
// that sent it belongs to, and ignores a message whose sender is gone. So it can last as long as systemd is busy, and
// nobody waits for it but the next message.

import { execFile } from 'node:child_process'
import { settledWithin } from '../shared/settled-within.js'
import type { NotifyMessage } from './notify-plan.js'

export interface NotifySenderOptions {
  /** NOTIFY_SOCKET: a path, `@` and an abstract name, or what else systemd-notify knows. */
  socket: string
  /** PATH. */
  path: string
  warn: (text: string) => void
}

const COMMAND = 'systemd-notify'
/** systemd-notify itself gives up waiting after 5 s. */
const SEND_TIMEOUT = 6_000
/** A stop signal to the whole control group hits systemd-notify too. */
const MAX_TRIES = 3
/** Beyond that systemd has been silent for minutes, and the oldest is not worth telling any more. */
const MAX_PENDING = 16

export class NotifySender {
  readonly #options: NotifySenderOptions
  readonly #pending: Record<string, string>[] = []
  #sending: { abort: AbortController; done: Promise<void> } | null = null
  #isSilent = false
  #hasWarned = false

  constructor(options: NotifySenderOptions) {
    this.#options = options
  }

  /** It is sent after what was said before; what only tells how things are goes with what has not been sent yet. */
  say(message: NotifyMessage): void {
    if (this.#isSilent) return
    const last = this.#pending.at(-1)
    if (last !== undefined && !isTurningPoint(message)) Object.assign(last, message)
    else this.#pending.push({ ...message })
    if (this.#pending.length > MAX_PENDING) this.#pending.shift()
    if (this.#sending === null) this.#sendNext()
  }

  /** Settles when all is sent, or after `within` ms, and nothing is sent any more. */
  async end(within: number): Promise<void> {
    const sent = async (): Promise<void> => {
      while (this.#sending !== null) await this.#sending.done
    }
    await settledWithin(sent(), within)
    this.#isSilent = true
    this.#pending.length = 0
    const sending = this.#sending
    sending?.abort.abort()
    await sending?.done
  }

  #sendNext(): void {
    const message = this.#pending.shift()
    if (message === undefined) return
    const abort = new AbortController()
    const done = this.#send(message, abort.signal).then(() => {
      this.#sending = null
      this.#sendNext()
    })
    this.#sending = { abort, done }
  }

  async #send(message: NotifyMessage, signal: AbortSignal): Promise<void> {
    for (let tries = 1; ; tries++) {
      const failure = await this.#try(message, signal)
      if (failure === null) {
        this.#hasWarned = false
        return
      }
      if (signal.aborted) return
      if (failure.wasSignalled && tries < MAX_TRIES) continue
      return this.#failed(failure)
    }
  }

  #try(message: NotifyMessage, signal: AbortSignal): Promise<Failure | null> {
    const { socket, path } = this.#options
    const words = Object.entries(message).map(([name, value]) => `${name}=${value}`)
    const env = { NOTIFY_SOCKET: socket, PATH: path }
    const options = { env, cwd: '/', timeout: SEND_TIMEOUT, killSignal: 'SIGKILL', signal } as const
    return new Promise((resolve) => {
      execFile(COMMAND, words, options, (error, _stdout, stderr) => {
        if (error === null) return resolve(null)
        const said = stderr.trim().split('\n')[0] ?? ''
        resolve({
          isMissing: error.code === 'ENOENT',
          wasSignalled: error.signal != null && error.killed !== true,
          text: error.killed === true ? `no end within ${SEND_TIMEOUT} ms` : said || error.message,
        })
      })
    })
  }

  #failed({ isMissing, text }: Failure): void {
    if (isMissing) this.#isSilent = true
    if (this.#hasWarned) return
    this.#hasWarned = true
    const remedy = isMissing
      ? `there is no ${COMMAND} on the PATH; install it (package systemd), or use Type=exec without WatchdogSec`
      : text
    this.#options.warn(`systemd cannot be told how this service is: ${remedy}`)
  }
}

interface Failure {
  isMissing: boolean
  /** Somebody ended it by a signal, and it was not our timeout. */
  wasSignalled: boolean
  text: string
}

/** What systemd acts on, in its order; a status, a longer timeout and a sign of life only count as the latest. */
const isTurningPoint = ({ READY, RELOADING, STOPPING }: NotifyMessage): boolean =>
  READY !== undefined || RELOADING !== undefined || STOPPING !== undefined
