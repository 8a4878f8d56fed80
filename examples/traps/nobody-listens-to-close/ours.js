// T2 with a client that is one state machine: it hears the end of its connection and dials again, and what is sent
// meanwhile waits its turn. The answer is given when the upstream has the order, or it says why not.
import { createServer } from 'node:http'
import { text } from 'node:stream/consumers'
import { guardedClient } from 'forksafe'

const feed = guardedClient('feed', {
  url: process.env.UPSTREAM ?? 'ws://127.0.0.1:8081',
  onUnconfirmed: 'resend', // What a connection took and never proved is written again on the next.
})
await feed.connect()

const server = createServer(async (request, response) => {
  try {
    await feed.send(await text(request))
    response.end('sent')
  } catch (error) {
    response.writeHead(503).end(String(error))
  }
})
server.listen(Number(process.env.PORT ?? 0), '127.0.0.1', () => console.log('listening', server.address()))
