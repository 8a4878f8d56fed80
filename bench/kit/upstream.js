// The other side of clients, in a process of its own: one that only reads, and one that writes down what it sees.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { ROOT, run, undoOnExit } from './launch.js'

const PATIENCE = 60_000

/** @typedef {import('../peers/recording-upstream.js').Span} Span */

/** A server that reads whatever comes: bench/clients/server.js. */
export async function startReader() {
  const { child, end } = start('bench/clients/server.js')
  const [port] = await once(child, 'message')
  return { port: Number(port), pid: child.pid ?? 0, end }
}

/** @typedef {Awaited<ReturnType<typeof startRecorder>>} Recorder */

/** bench/peers/recording-upstream.js. */
export async function startRecorder() {
  const { child, end } = start('bench/peers/recording-upstream.js')
  const [{ port }] = await once(child, 'message')
  const url = (/** @type {string} */ identity) => `ws://127.0.0.1:${port}/${identity}`
  /** @returns {Promise<{ spans: Span[], messages: Map<string, number> }>} */
  const all = async () => {
    child.send('all')
    for (;;) {
      const [{ spans, messages }] = await once(child, 'message')
      if (spans !== undefined) return { spans, messages: new Map(messages) }
    }
  }
  return {
    url,
    all,
    end,
    /** Now, on its clock. */
    now: () => Number(process.hrtime.bigint()) / 1e6,
    /** The connections of an identity that are open. @param {string} identity */
    open: async (identity) =>
      (await all()).spans.filter((span) => span.identity === identity && span.over === null),
    /** Settles with the first connection to come that is as wanted. @param {(span: Span) => boolean} isWanted @param {string} what */
    opening: (isWanted, what) => opening(child, isWanted, what),
    /** What closing and dialling again takes a plain client that is warm. @param {number} count @param {number} stay ms that each is open */
    redial: async (count, stay) => {
      const identity = `bare-${count}-${performance.now()}`
      await run(['bench/clients/redial.js', url(identity), String(2 * count), String(stay)], {})
      const { spans } = await all()
      return changesOf(spans, identity).slice(-count)
    },
  }
}

/** @param {import('node:child_process').ChildProcess} child @param {(span: Span) => boolean} isWanted @param {string} what @returns {Promise<Span>} */
function opening(child, isWanted, what) {
  return new Promise((resolve, reject) => {
    const look = (/** @type {{ opened?: Span }} */ { opened }) => {
      if (opened === undefined || !isWanted(opened)) return
      done()
      resolve(opened)
    }
    const timer = setTimeout(() => {
      done()
      reject(new Error(`waited ${PATIENCE} ms for ${what}`))
    }, PATIENCE)
    const done = () => {
      clearTimeout(timer)
      child.off('message', look)
    }
    child.on('message', look)
  })
}

/** @param {string} program */
function start(program) {
  const child = fork(join(ROOT, program), [])
  const forget = undoOnExit(() => child.kill('SIGKILL'))
  const end = async () => {
    child.kill('SIGKILL')
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
    forget()
  }
  return { child, end }
}

/**
 * From one connection of an identity to the next: `gap` in ms from the end of all before to its opening, negative when
 * it was open beside one of them for as long as that.
 *
 * @typedef {{ at: number, gap: number, dialled: number, upgraded: number, who: string }} Change
 *   `dialled`: from that end to its TCP connection. `upgraded`: from there until it was open.
 *
 * @param {readonly Span[]} spans @param {string} identity @returns {Change[]}
 */
export function changesOf(spans, identity) {
  const own = spans.filter((span) => span.identity === identity)
  const end = (/** @type {Span} */ { over }) => over ?? Number.POSITIVE_INFINITY
  return own.slice(1).flatMap((span, index) => {
    const before = own.slice(0, index + 1)
    const beside = before.filter((other) => end(other) > span.opened)
    const overlap = Math.max(...beside.map((other) => Math.min(end(other), end(span)) - span.opened))
    const last = Math.max(...before.map(end))
    const gap = beside.length > 0 ? -overlap : span.opened - last
    const { who, came, opened } = span
    return [{ at: opened, gap, dialled: came - last, upgraded: opened - came, who }]
  })
}

/** The most that were open at the same time, as far as one was opened from `from` to `to`. @param {readonly Span[]} spans @param {string} identity @param {number} from @param {number} to */
export function mostAtOnce(spans, identity, from, to) {
  const own = spans.filter((span) => span.identity === identity)
  const isOpen = (/** @type {Span} */ { opened, over }, /** @type {number} */ at) =>
    opened <= at && (over ?? Number.POSITIVE_INFINITY) > at
  const moments = [from, ...own.map(({ opened }) => opened).filter((at) => at > from && at <= to)]
  return Math.max(0, ...moments.map((at) => own.filter((span) => isOpen(span, at)).length))
}
