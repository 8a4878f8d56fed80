// T8 with an exclusive client under `supervisor start -i 3`: one worker has the connection, the others stand by, and
// any of them can send over it. In a `supervisor reload` it is closed here before it is opened there.
import { createServer } from 'node:http'
import { guardedClient } from 'forksafe'

const bot = guardedClient('bot', { url: process.env.UPSTREAM ?? 'ws://127.0.0.1:8081', exclusive: true })
bot.on('message', () => bot.send('an answer').catch(console.error))
bot.connect().catch(console.error)

const server = createServer((_request, response) => response.end('hello'))
server.listen(Number(process.env.PORT ?? 0), '127.0.0.1', () => console.log('listening', server.address()))
