// What workers say of connections that were dialled within requests, as lines of the log. How often each place did it is
// in their reports (status-reader.ts).

import type { LogLine } from '../observe/log-buffer.js'
import { type ConnectInRequest, MAX_CONNECT_SITES } from '../shared/connect-in-request.js'
import type { WorkerRef } from '../shared/progress.js'

type Write = (text: string, fields: NonNullable<LogLine['fields']>) => void

export class ConnectReports {
  readonly #write: Write
  /** Lines of each worker: what it runs may send as many as it likes. */
  readonly #lines = new Map<number, number>()

  constructor(write: Write) {
    this.#write = write
  }

  came(workerId: number, worker: WorkerRef, report: ConnectInRequest): void {
    const lines = this.#lines.get(workerId) ?? 0
    if (lines >= MAX_CONNECT_SITES) return
    this.#lines.set(workerId, lines + 1)
    this.#write(describe(worker, report), { event: 'connectInRequest', ...worker, ...report })
  }

  forget(workerId: number): void {
    this.#lines.delete(workerId)
  }
}

const describe = ({ slot, pid }: WorkerRef, { at, url, request, stack, mode }: ConnectInRequest): string => {
  const place = at === null ? '' : ` at ${at}`
  const end = mode === 'throw' ? 'it was rejected' : 'each request opens a connection of its own'
  const frames = stack.split('\n').slice(0, SHOWN)
  const trace = stack === '' ? '' : ` (${frames.join(' < ')})`
  return `worker ${slot} dialled ${url} within a request, ${request}${place}: ${end}; make one client at module level and use it in every request (pid ${pid})${trace}`
}

/** Frames of the stack in a line for people. */
const SHOWN = 4
