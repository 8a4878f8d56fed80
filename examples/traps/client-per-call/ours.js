// T1 with a name: guardedClient('feed') is the same client wherever and however often it is asked for. The first send()
// connects, the others use that connection, and it is closed when the process is told to stop.
import { guardedClient } from 'forksafe'

const { UPSTREAM = 'ws://127.0.0.1:8081' } = process.env

/** @param {string} text */
const say = async (text) => {
  const feed = guardedClient('feed', { url: UPSTREAM })
  await feed.send(text)
}

for (let n = 1; n <= 10; n++) await say(`message ${n}`)
