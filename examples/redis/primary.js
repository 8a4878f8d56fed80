// A program that is itself the primary and uses Redis too: `node examples/redis/primary.js`, with REDIS_URL.
// Its connection is closed before each fork and opened again afterwards; whoever asks for it meanwhile waits.
import { fileURLToPath } from 'node:url'
import { supervise } from 'forksafe'
import { redis } from './redis.js'

const client = await redis.get()
await client.setnx('visits', 0)

const supervisor = await supervise({
  script: fileURLToPath(new URL('app.js', import.meta.url)),
  workers: 2,
  name: 'visits',
  afterFork: ({ slots }) => console.log(`forked ${slots}, redis is ${redis.state}`),
})

const { workers } = await supervisor.status()
const visits = await (await redis.get()).get('visits') // Not `client`: that one is closed.
console.log(`${workers.length} workers run, ${visits} visits so far`)
