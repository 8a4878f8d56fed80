// T5 with a promise per message: it resolves when the upstream's endpoint has proved that it has read the message, and
// rejects with a code when that cannot be known. Orders that come while the upstream is away wait for the next connection.
import { createServer } from 'node:http'
import { text } from 'node:stream/consumers'
import { guardedClient } from 'forksafe'

const feed = guardedClient('feed', {
  url: process.env.UPSTREAM ?? 'ws://127.0.0.1:8081',
  onUnconfirmed: 'resend',
})
feed.on('opened', () => console.log('connected'))
feed.connect().catch(() => {}) // It tries again by itself.

const server = createServer(async (request, response) => {
  const order = await text(request)
  console.log('took', order)
  try {
    await feed.send(order, { timeout: '10s' })
    response.end('sent')
  } catch (error) {
    response.writeHead(503).end(String(error))
  }
})
server.listen(Number(process.env.PORT ?? 0), '127.0.0.1', () => console.log('listening', server.address()))
