// The connection to Redis, one per process, under the rules of docs/protect.md. Importing it opens nothing.
import { protect, worker } from 'forksafe'
import { Redis } from 'ioredis'

const who = worker.isSupervised ? `worker-${worker.slot}` : 'primary'

export const redis = protect('redis', {
  open: async ({ signal }) => {
    const client = new Redis(process.env.REDIS_URL ?? 'redis://127.0.0.1:6379', {
      lazyConnect: true,
      connectionName: `visits-${who}-${process.pid}`,
    })
    client.on('error', (error) => console.error(`redis: ${error.message}`)) // It reconnects by itself.
    signal.addEventListener('abort', () => client.disconnect())
    try {
      await client.connect()
    } catch (error) {
      client.disconnect() // Or it would go on trying behind our back.
      throw error
    }
    return client
  },
  // Answers to what was asked before come first, then the connection ends.
  close: (client) => client.quit(),
})
