// The usual way to know: the server's application answers each message, and the next is sent after that.
import { WebSocket } from 'ws'

/** @type {import('./sender.js').Sender} */
export async function lockstep(url) {
  const socket = new WebSocket(url, { perMessageDeflate: false })
  socket.on('error', () => {})
  let isAnswered = true
  const done = new Promise((resolve) =>
    socket.on('message', (data) => {
      isAnswered = true
      if (String(data) === 'done') resolve(undefined)
    }),
  )
  await new Promise((resolve) => socket.once('open', resolve))
  return {
    send: (text) => {
      isAnswered = false
      socket.send(text)
    },
    mayGoOn: () => isAnswered,
    done: done.then(() => {}),
    close: async () => socket.terminate(),
  }
}
