// Orders to the workers of an app that connect to a unix socket, a JSON line each way: bench/peers/sharing-app.js.
import { once } from 'node:events'
import { createServer } from 'node:net'
import { createInterface } from 'node:readline'

const PATIENCE = 120_000

/** @typedef {{ pid: number, role: string, tell: (order: object) => Promise<any> }} Worker */

/**
 * Listens at `path` until `close` is called.
 *
 * @param {string} path
 */
export async function takeOrders(path) {
  /** @type {Worker[]} */
  const workers = []
  const joined = { waiting: () => {} }
  const server = createServer((socket) => {
    socket.on('error', () => {})
    const lines = createInterface({ input: socket })[Symbol.asyncIterator]()
    const next = async () => JSON.parse(String((await lines.next()).value))
    const tell = (/** @type {object} */ order) => {
      socket.write(`${JSON.stringify(order)}\n`)
      return within(next(), `a worker to do ${JSON.stringify(order)}`)
    }
    next().then(
      ({ pid, role }) => {
        workers.push({ pid, role, tell })
        joined.waiting()
      },
      () => {},
    )
  })
  server.listen(path)
  await once(server, 'listening')
  return {
    /** Settles when so many have come. @param {number} count @returns {Promise<Worker[]>} */
    arrived: (count) =>
      within(
        new Promise((resolve) => {
          joined.waiting = () => {
            if (workers.length >= count) resolve(workers)
          }
          joined.waiting()
        }),
        `${count} workers`,
      ),
    close: () => void server.close(),
  }
}

/** @template T @param {Promise<T>} promise @param {string} what @returns {Promise<T>} */
async function within(promise, what) {
  /** @type {NodeJS.Timeout | undefined} */
  let timer
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`waited ${PATIENCE} ms for ${what}`)), PATIENCE)
  })
  try {
    return /** @type {T} */ (await Promise.race([promise, late]))
  } finally {
    clearTimeout(timer)
  }
}
