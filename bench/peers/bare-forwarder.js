// The least that a resident process can be for bench/callers.js: HTTP on a unix socket, one WebSocket, and nothing kept.
// Whatever is posted is sent at once and answered; what was in memory is lost with the process. Usage: SOCKET URL.
import { createServer } from 'node:http'
import { WebSocket } from 'ws'

const [, , path = '', url = ''] = process.argv
const upstream = new WebSocket(url, { perMessageDeflate: false })
upstream.on('open', () => {
  const server = createServer({ keepAliveTimeout: 60_000 }, (request, response) => {
    /** @type {Buffer[]} */
    const pieces = []
    request.on('data', (piece) => pieces.push(piece))
    request.on('end', () => {
      upstream.send(Buffer.concat(pieces).toString())
      const body = '{"state":"sent"}'
      response.writeHead(202, { 'content-type': 'application/json', 'content-length': body.length }).end(body)
    })
  })
  server.listen({ path, backlog: 4_096 }, () => process.send?.('listening'))
})
process.on('disconnect', () => process.exit())
