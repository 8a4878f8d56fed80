// T9: nobody counts. The connection is renewed now and then, to be on the safe side, and the old one is forgotten. All
// that the program can say of itself is what it knows: one connection. What there is the kernel knows, and the upstream;
// people learn it with `lsof | wc -l`, after the outage.
import { once } from 'node:events'
import { createServer } from 'node:http'
import { WebSocket } from 'ws'

/** @type {WebSocket | null} */
let feed = null
const renew = async () => {
  feed = new WebSocket(process.env.UPSTREAM ?? 'ws://127.0.0.1:8081')
  await once(feed, 'open')
}
for (let n = 1; n <= 6; n++) await renew()

const server = createServer((_request, response) => {
  const known = feed?.readyState === WebSocket.OPEN ? 1 : 0
  response.end(`connections: ${known}`)
})
server.listen(Number(process.env.PORT ?? 0), '127.0.0.1', () => console.log('listening', server.address()))
