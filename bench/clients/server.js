// The server of bench/client.js: reads everything. It says `done` when the number of messages in the path has come, and
// answers each where the path says so: /COUNT, /COUNT/ack.
import { WebSocketServer } from 'ws'

const server = new WebSocketServer({ port: 0, host: '127.0.0.1', perMessageDeflate: false })
server.on('connection', (socket, { url = '' }) => {
  const [, count, mode] = url.split('/')
  const wanted = Number(count)
  let read = 0
  socket.on('error', () => {})
  socket.on('message', () => {
    read += 1
    if (mode === 'ack') socket.send('a')
    if (read === wanted) socket.send('done')
  })
})
server.on('listening', () =>
  process.send?.(/** @type {import('node:net').AddressInfo} */ (server.address()).port),
)
