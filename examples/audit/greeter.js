// What the tests beside this test: a server that greets, and a client of it that, told to, forgets to close.
import { once } from 'node:events'
import { connect, createServer } from 'node:net'

/** @returns its port, and what closes it with all its connections. */
export async function startGreeter() {
  /** @type {Set<import('node:net').Socket>} */
  const connections = new Set()
  const server = createServer((socket) => {
    connections.add(socket.on('close', () => connections.delete(socket)))
    socket.write('hello')
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('a TCP server has a port')
  const stop = async () => {
    for (const socket of connections) socket.destroy()
    await once(server.close(), 'close')
  }
  return { port: address.port, stop }
}

/** @param {number} port @param {{ forgetsToClose?: boolean }} [options] @returns {Promise<string>} What the server says. */
export async function askForGreeting(port, { forgetsToClose = false } = {}) {
  const socket = connect(port, '127.0.0.1')
  const [greeting] = await once(socket, 'data')
  if (!forgetsToClose) socket.destroy()
  return String(greeting)
}
