// Short-lived callers for bench/callers.js, in a process of their own: so many messages, so many at once, each over a
// WebSocket of its own (`trap`) or by HTTP over a unix socket, each by a connection of its own or by kept ones.
// Usage: TASK as JSON; says { seconds, times, failed } to its parent.
import { Agent, request } from 'node:http'
import { WebSocket } from 'ws'

const { url, socketPath, messages, atOnce, isKept, size } = JSON.parse(process.argv[2] ?? '{}')
const agent = isKept ? new Agent({ keepAlive: true, maxSockets: atOnce }) : false

const trap = (/** @type {string} */ text) =>
  new Promise((resolve, reject) => {
    const socket = new WebSocket(url, { perMessageDeflate: false })
    socket.on('error', reject)
    socket.on('close', resolve)
    socket.on('open', () => {
      socket.send(text)
      socket.close()
    })
  })

const post = (/** @type {string} */ text) =>
  new Promise((resolve, reject) => {
    const headers = { 'content-type': 'text/plain', 'content-length': text.length }
    const asked = request({ socketPath, path: '/v1/feed', method: 'POST', agent, headers }, (response) => {
      response.resume()
      response.on('end', () =>
        response.statusCode === 202 ? resolve(null) : reject(new Error(String(response.statusCode))),
      )
    })
    asked.on('error', reject)
    asked.end(text)
  })

const call = url === undefined ? post : trap
/** @type {number[]} */
const times = []
let next = 0
let failed = 0
const caller = async () => {
  while (next < messages) {
    const text = `${++next} `.padEnd(size, '.')
    const begun = performance.now()
    try {
      await call(text)
    } catch {
      failed++
    }
    times.push(performance.now() - begun)
  }
}

const begun = performance.now()
await Promise.all(Array.from({ length: atOnce }, caller))
const seconds = (performance.now() - begun) / 1_000
if (agent !== false) agent.destroy()
process.send?.({ seconds, times, failed }, () => process.disconnect())
