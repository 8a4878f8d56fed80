// T6: a long-lived socket inside a request. Each request subscribes to a price and leaves the subscription open, because
// the next price may be of interest too. The request is over, its connection is not: the limit of descriptors is near.
import { once } from 'node:events'
import { createServer } from 'node:http'
import { WebSocket } from 'ws'

const server = createServer(async (_request, response) => {
  const prices = new WebSocket(process.env.UPSTREAM ?? 'ws://127.0.0.1:8081')
  await once(prices, 'open')
  prices.send('subscribe')
  const [price] = await once(prices, 'message')
  response.end(price)
})
server.listen(Number(process.env.PORT ?? 0), '127.0.0.1', () => console.log('listening', server.address()))
