// As many requests as a service can answer, over keep-alive connections with one request in flight each. A client of plain
// sockets: it costs a fraction of what the server costs, where Node's own HTTP client would be the bottleneck.
import { connect } from 'node:net'

const QUESTION = 'GET / HTTP/1.1\r\nhost: localhost\r\n\r\n'

/**
 * @param {{ port: number, connections: number, ms: number }} options
 * @returns {Promise<{ answers: number, seconds: number }>}
 * @throws when a connection fails, or an answer is not complete in one piece.
 */
export async function barrage({ port, connections, ms }) {
  let answers = 0
  let isOver = false
  const begun = performance.now()
  /** @returns {Promise<void>} */
  const client = () =>
    new Promise((resolve, reject) => {
      const socket = connect(port, '127.0.0.1')
      socket.setNoDelay(true)
      socket.setEncoding('latin1')
      socket.on('connect', () => socket.write(QUESTION))
      socket.on('data', (/** @type {string} */ text) => {
        if (!text.startsWith('HTTP/1.1 200') || !/\r\n\r\n\d+$/.test(text)) {
          reject(new Error(`not a whole answer: ${JSON.stringify(text)}`))
          return socket.destroy()
        }
        answers += 1
        if (isOver) socket.end()
        else socket.write(QUESTION)
      })
      socket.on('error', reject)
      socket.on('close', () => (isOver ? resolve() : reject(new Error('the service ended a connection'))))
    })
  const clients = Array.from({ length: connections }, client)
  const failed = Promise.all(clients)
  await Promise.race([failed, new Promise((resolve) => setTimeout(resolve, ms))])
  isOver = true
  const result = { answers, seconds: (performance.now() - begun) / 1_000 }
  await failed
  return result
}
