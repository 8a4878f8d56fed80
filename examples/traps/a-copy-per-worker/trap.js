// T8: N workers, N copies. A bot in a cluster of three is there three times, answers each message three times, and is
// there a fourth time during each restart, because the new worker comes first.
import cluster from 'node:cluster'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { WebSocket } from 'ws'

if (cluster.isPrimary) {
  let workers = [cluster.fork(), cluster.fork(), cluster.fork()]
  process.on('SIGUSR2', async () => {
    const olds = workers
    workers = []
    for (const old of olds) {
      const worker = cluster.fork()
      workers.push(worker)
      await once(worker, 'listening')
      old.kill()
      await once(old, 'exit')
    }
    console.log('restarted')
  })
} else {
  const bot = new WebSocket(process.env.UPSTREAM ?? 'ws://127.0.0.1:8081')
  bot.on('message', () => bot.send('an answer'))
  await once(bot, 'open')
  const server = createServer((_request, response) => response.end('hello'))
  server.listen(Number(process.env.PORT ?? 0), '127.0.0.1', () => console.log('listening', server.address()))
}
