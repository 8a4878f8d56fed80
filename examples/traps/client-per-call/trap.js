// T1: a client per call. It works, and each call leaves a connection behind: nothing closes it, and nobody can, because
// the only reference to it is gone when say() returns. The server sees one open after the other.
import { once } from 'node:events'
import { WebSocket } from 'ws'

const { UPSTREAM = 'ws://127.0.0.1:8081' } = process.env

/** @param {string} text */
const say = async (text) => {
  const socket = new WebSocket(UPSTREAM)
  await once(socket, 'open')
  socket.send(text)
}

for (let n = 1; n <= 10; n++) await say(`message ${n}`)
