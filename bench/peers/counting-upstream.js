// The upstream of bench/callers.js and bench/relay.js: counts connections and messages, and whether the numbers that
// messages begin with come in order. Usage: PORT [KEY CERT]; what it has counted it says when it is asked (any message of
// its parent), and anew from there.
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { WebSocketServer } from 'ws'

const [, , port = '0', key, cert] = process.argv
const http =
  key === undefined || cert === undefined
    ? createServer()
    : createTlsServer({ key: readFileSync(key), cert: readFileSync(cert) })
const counts = { accepts: 0, messages: 0, outOfOrder: 0, last: 0 }

http.on('connection', () => {
  counts.accepts++
})
new WebSocketServer({ server: http, perMessageDeflate: false }).on('connection', (socket) => {
  socket.on('error', () => {})
  socket.on('message', (/** @type {Buffer} */ data) => {
    counts.messages++
    const number = Number.parseInt(data.toString('latin1', 0, 12), 10)
    if (number !== counts.last + 1) counts.outOfOrder++
    counts.last = number
  })
})
process.on('message', (isReset) => {
  process.send?.(counts)
  if (isReset) Object.assign(counts, { accepts: 0, messages: 0, outOfOrder: 0, last: 0 })
})
process.on('disconnect', () => process.exit())
http.listen({ port: Number(port), host: '127.0.0.1', backlog: 4_096 }, () =>
  process.send?.(/** @type {import('node:net').AddressInfo} */ (http.address()).port),
)
