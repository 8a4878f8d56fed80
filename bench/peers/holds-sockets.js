// node holds-sockets.js SOCKETS [CHILDREN]: holds so many TCP sockets of loopback, both ends of each connection, and has
// so many children that hold as many each. Over its channel it tells the pids of all when every one is open; it ends
// when the channel does.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { connect, createServer } from 'node:net'

/** @type {import('node:net').Socket[]} */
const held = []
const [sockets, children] = process.argv.slice(2).map(Number)
// Reset: thousands of connections in time-wait would be part of what is measured next.
const resetAll = () => {
  for (const socket of held) socket.resetAndDestroy()
}
process.once('SIGTERM', resetAll)
process.once('disconnect', () => {
  resetAll()
  process.exit()
})

const pids = [process.pid]
for (let n = 0; n < (children ?? 0); n++) {
  const child = fork(process.argv[1] ?? '', [String(sockets)])
  const [below] = await once(child, 'message')
  pids.push(...below)
}

const server = createServer((socket) => held.push(socket))
// exclusive: workers of a cluster would share the port, and each other's connections.
server.listen({ port: 0, host: '127.0.0.1', exclusive: true })
await once(server, 'listening')
const address = server.address()
const port = address !== null && typeof address === 'object' ? address.port : 0
while (held.length < (sockets ?? 0)) {
  const accepted = once(server, 'connection')
  const socket = connect(port, '127.0.0.1')
  held.push(socket)
  await Promise.all([accepted, once(socket, 'connect')])
}
// In a worker of ours the message that says so is another one.
process.send?.(process.env.SUPERVISOR_NAME === undefined ? pids : 'ready')
