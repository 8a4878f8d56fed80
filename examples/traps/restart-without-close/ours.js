// T3 under `supervisor start`: `supervisor reload` starts the new worker first as well, and then the old one drains.
// Its servers are closed, its requests answered, its clients closed with a Close frame, and its end is awaited.
import { createServer } from 'node:http'
import { guardedClient } from 'forksafe'

const feed = guardedClient('feed', { url: process.env.UPSTREAM ?? 'ws://127.0.0.1:8081' })
await feed.connect()

const server = createServer((_request, response) => response.end('hello'))
server.listen(Number(process.env.PORT ?? 0), '127.0.0.1', () => console.log('listening', server.address()))
