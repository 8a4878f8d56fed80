// T9 under `supervisor start`: the same fault, and somebody who counts. `supervisor audit` asks the kernel for every socket
// of every process, says which line of the program opened the six that no guarded client owns, and exits 6.
// `supervisor audit --port P --count` prints what `lsof -i :P | wc -l` was for. In tests: assertNoLeaks() of forksafe/audit.
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
