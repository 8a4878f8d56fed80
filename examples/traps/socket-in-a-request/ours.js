// T6 with a client of the process: requests use it and none of them opens anything. Under `supervisor start` each of two
// workers has one connection, however many requests there are. Made inside the handler, the client would throw; and a
// `new WebSocket()` there is told in the log with its line, or rejected with `--request-guard throw`.
import { once } from 'node:events'
import { createServer } from 'node:http'
import { guardedClient } from 'forksafe'

const prices = guardedClient('prices', { url: process.env.UPSTREAM ?? 'ws://127.0.0.1:8081' })
let price = ''
prices.on('message', (data) => {
  price = String(data)
})
await prices.send('subscribe')
if (price === '') await once(prices, 'message')

const server = createServer((_request, response) => response.end(price))
server.listen(Number(process.env.PORT ?? 0), '127.0.0.1', () => console.log('listening', server.address()))
