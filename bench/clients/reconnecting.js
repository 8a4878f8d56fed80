// reconnecting-websocket on `ws`, from tools/apps.
import { createRequire } from 'node:module'
import { WebSocket } from 'ws'

const require = createRequire(new URL('../../tools/apps/package.json', import.meta.url))
/** @type {any} */
const ReconnectingWebSocket = require('reconnecting-websocket')
const MOST_QUEUED = 2 ** 20

class PlainWebSocket extends WebSocket {
  /** @param {string} url @param {string[]} [protocols] */
  constructor(url, protocols) {
    super(url, protocols ?? [], { perMessageDeflate: false })
  }
}

/** @type {import('./sender.js').Sender} */
export async function reconnecting(url) {
  const socket = new ReconnectingWebSocket(url, [], { WebSocket: PlainWebSocket })
  const done = new Promise((resolve) => {
    socket.addEventListener(
      'message',
      (/** @type {{ data: unknown }} */ event) => String(event.data) === 'done' && resolve(undefined),
    )
  })
  await new Promise((resolve) => socket.addEventListener('open', resolve))
  return {
    send: (text) => socket.send(text),
    mayGoOn: () => socket.bufferedAmount <= MOST_QUEUED,
    done: done.then(() => {}),
    close: () =>
      new Promise((resolve) => {
        socket.addEventListener('close', () => resolve())
        socket.close()
      }),
  }
}
