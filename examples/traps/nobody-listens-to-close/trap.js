// T2: nobody listens to `close`. The upstream ends the connection once, and from then on `feed` is a dead reference:
// `ws` takes what it is given without a word, so every order is answered with "sent" and none arrives any more.
import { once } from 'node:events'
import { createServer } from 'node:http'
import { text } from 'node:stream/consumers'
import { WebSocket } from 'ws'

const feed = new WebSocket(process.env.UPSTREAM ?? 'ws://127.0.0.1:8081')
await once(feed, 'open')

const server = createServer(async (request, response) => {
  feed.send(await text(request))
  response.end('sent')
})
server.listen(Number(process.env.PORT ?? 0), '127.0.0.1', () => console.log('listening', server.address()))
