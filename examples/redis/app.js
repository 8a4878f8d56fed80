// A web server that counts its visits in Redis: `supervisor start examples/redis/app.js -i 2`, with REDIS_URL.
import { createServer } from 'node:http'
import { redis } from './redis.js'

const server = createServer(async (_request, response) => {
  try {
    const client = await redis.get()
    response.end(`visit ${await client.incr('visits')}\n`)
  } catch (error) {
    response.writeHead(503).end(`${error.code ?? 'no Redis'}\n`)
  }
})
server.listen(Number(process.env.PORT ?? 8080), () => console.log(`listening ${server.address().port}`))
