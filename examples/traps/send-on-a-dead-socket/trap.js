// T5: send on a dead socket. This one does come back after a loss. But while it is away push() returns false, nobody
// looks at that, and every order is answered with "sent". The callback of `send` in `ws` would not help: it says that
// the kernel took the message, also when the connection dies before anybody has read it.
import { createServer } from 'node:http'
import { text } from 'node:stream/consumers'
import { WebSocket } from 'ws'

/** @type {WebSocket} */
let feed
const connect = () => {
  feed = new WebSocket(process.env.UPSTREAM ?? 'ws://127.0.0.1:8081')
  feed.on('open', () => console.log('connected'))
  feed.on('error', () => {}) // 'close' follows.
  feed.on('close', () => setTimeout(connect, 250))
}
connect()

/** @param {string} message @returns {boolean} whether it was sent */
const push = (message) => {
  if (feed.readyState !== WebSocket.OPEN) return false
  feed.send(message)
  return true
}

const server = createServer(async (request, response) => {
  const order = await text(request)
  push(order)
  console.log('took', order)
  response.end('sent')
})
server.listen(Number(process.env.PORT ?? 0), '127.0.0.1', () => console.log('listening', server.address()))
