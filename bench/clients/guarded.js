// The guarded client as its users have it, from dist/.
import { guardedClient } from 'forksafe/client'

/** Messages that may be without a receipt. */
const MOST_UNPROVED = 8_000
let clients = 0

/** @type {import('./sender.js').Sender} */
export async function guarded(url) {
  const client = guardedClient(`bench ${++clients}`, { url })
  const done = new Promise((resolve) => client.on('message', (data) => data === 'done' && resolve(undefined)))
  await client.connect()
  let unproved = 0
  const settled = () => {
    unproved -= 1
  }
  return {
    send: (text) => {
      unproved += 1
      return client.send(text).then(settled)
    },
    mayGoOn: () => unproved < MOST_UNPROVED,
    done: done.then(() => {}),
    close: () => client.terminate(),
  }
}
