// T3: restart without close. A rolling restart as the textbook has it: the new worker first, then disconnect() for the
// old one. That closes its servers and its channel, and nothing else: the WebSocket keeps the old process alive, unseen
// by its primary, for as long as the upstream likes. Each restart leaves one connection more, and nobody ends them.
import cluster from 'node:cluster'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { WebSocket } from 'ws'

if (cluster.isPrimary) {
  let worker = cluster.fork()
  process.on('SIGUSR2', async () => {
    const old = worker
    worker = cluster.fork()
    await once(worker, 'listening')
    old.disconnect()
    await once(old, 'disconnect')
    console.log('restarted')
  })
} else {
  const feed = new WebSocket(process.env.UPSTREAM ?? 'ws://127.0.0.1:8081')
  await once(feed, 'open')
  const server = createServer((_request, response) => response.end('hello'))
  server.listen(Number(process.env.PORT ?? 0), '127.0.0.1', () => console.log('listening', server.address()))
}
