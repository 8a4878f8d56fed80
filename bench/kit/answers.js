// Asks a service again and again who answers, and tells when the wanted workers have. Each question is a connection of
// its own, asked on a clock: an answer that never comes (a lost hand-off) delays no other question.
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import { isGone } from './processes.js'

/** ms between two questions. */
const PAUSE = 4
const GIVE_UP = 30_000
const MOST_AT_ONCE = 64
const QUESTION = 'GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n'

/**
 * Settles when `isDone` says so.
 *
 * @param {number} port
 * @param {(pids: ReadonlySet<number>) => boolean} isDone Called after each question with all that have answered so far.
 * @param {string} what For the error.
 * @returns {Promise<Set<number>>}
 */
export function answersUntil(port, isDone, what) {
  /** @type {Set<number>} */
  const pids = new Set()
  /** @type {Set<import('node:net').Socket>} */
  const asking = new Set()
  return new Promise((resolve, reject) => {
    const finish = (/** @type {() => void} */ settle) => {
      clearInterval(clock)
      clearTimeout(end)
      for (const socket of asking) socket.destroy()
      settle()
    }
    const look = () => {
      if (isDone(pids)) finish(() => resolve(pids))
    }
    const clock = setInterval(() => {
      look()
      if (asking.size < MOST_AT_ONCE) ask(port, asking, (pid) => void pids.add(pid), look)
    }, PAUSE)
    const end = setTimeout(() => {
      const seen = [...pids].join(', ') || 'nobody'
      finish(() => reject(new Error(`waited ${GIVE_UP} ms for ${what}; on port ${port} answered: ${seen}`)))
    }, GIVE_UP)
  })
}

/** Settles when that many workers have answered. @param {number} port @param {number} count */
export const workersAnswer = (port, count) =>
  answersUntil(port, (pids) => pids.size >= count, `${count} workers to answer`)

/**
 * Settles when as many new workers have answered as there were old ones, and those are gone.
 *
 * @param {number} port @param {ReadonlySet<number>} old
 * @param {() => void} [answered] Called when the last replacement has answered.
 * @returns {Promise<Set<number>>} The replacements.
 */
export async function workersReplaced(port, old, answered = () => {}) {
  /** @param {ReadonlySet<number>} pids */
  const replacements = (pids) => [...pids].filter((pid) => !old.has(pid))
  let hasAnswered = false
  const pids = await answersUntil(
    port,
    (pids) => {
      if (!hasAnswered && replacements(pids).length >= old.size) {
        hasAnswered = true
        answered()
      }
      return hasAnswered && [...old].every(isGone)
    },
    `${old.size} replacements to answer and the old workers to be gone`,
  )
  return new Set(replacements(pids))
}

/**
 * @param {number} port @param {Set<import('node:net').Socket>} asking
 * @param {(pid: number) => void} answered @param {() => void} look
 */
function ask(port, asking, answered, look) {
  const socket = connect(port, '127.0.0.1')
  asking.add(socket)
  let text = ''
  socket.setEncoding('latin1')
  socket.on('connect', () => socket.write(QUESTION))
  socket.on('data', (/** @type {string} */ chunk) => {
    text += chunk
  })
  socket.on('error', () => {})
  socket.on('close', () => {
    asking.delete(socket)
    const pid = Number(/\r\n\r\n[^\d]*(\d+)/.exec(text)?.[1])
    if (!(pid > 0)) return
    answered(pid)
    look()
  })
}

/** A port that is free now. */
export async function freePort() {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = /** @type {import('node:net').AddressInfo} */ (server.address())
  server.close()
  await once(server, 'close')
  return address.port
}
