// `ws` as it is: what was sent is out of sight.
import { WebSocket } from 'ws'

/** Bytes that may be queued. */
const MOST_QUEUED = 2 ** 20

/** @type {import('./sender.js').Sender} */
export async function raw(url) {
  const socket = new WebSocket(url, { perMessageDeflate: false })
  socket.on('error', () => {})
  const done = new Promise((resolve) =>
    socket.on('message', (data) => String(data) === 'done' && resolve(undefined)),
  )
  await new Promise((resolve) => socket.once('open', resolve))
  return {
    send: (text) => socket.send(text),
    mayGoOn: () => socket.bufferedAmount <= MOST_QUEUED,
    done: done.then(() => {}),
    close: () => {
      socket.terminate()
      return new Promise((resolve) => socket.once('close', () => resolve()))
    },
  }
}
