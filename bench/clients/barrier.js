// The ping barrier by hand on `ws`, without a client around it: one ping on its way, the next proves what was sent
// meanwhile, a promise for each message.
import { randomBytes } from 'node:crypto'
import { WebSocket } from 'ws'

const MOST_UNPROVED = 8_000

/** @type {import('./sender.js').Sender} */
export async function barrier(url) {
  const socket = new WebSocket(url, { perMessageDeflate: false })
  socket.on('error', () => {})
  const done = new Promise((resolve) =>
    socket.on('message', (data) => String(data) === 'done' && resolve(undefined)),
  )
  await new Promise((resolve) => socket.once('open', resolve))
  /** @type {(() => void)[]} */
  let written = []
  /** @type {(() => void)[]} */
  let asked = []
  let nonce = ''
  let isDue = false
  let unproved = 0
  const ask = () => {
    isDue = false
    if (nonce !== '' || written.length === 0) return
    asked = written
    written = []
    nonce = randomBytes(8).toString('hex')
    socket.ping(nonce)
  }
  socket.on('pong', (data) => {
    if (String(data) !== nonce) return
    nonce = ''
    unproved -= asked.length
    for (const resolve of asked) resolve()
    ask()
  })
  return {
    send: (text) => {
      socket.send(text)
      unproved += 1
      if (!isDue) process.nextTick(ask)
      isDue = true
      return new Promise((resolve) => written.push(() => resolve(undefined)))
    },
    mayGoOn: () => unproved < MOST_UNPROVED,
    done: done.then(() => {}),
    close: async () => socket.terminate(),
  }
}
