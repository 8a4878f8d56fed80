// T4 with one attempt: whoever asks while an attempt is under way waits for that one. All three have the same connection,
// and close() closes it. The process ends by itself then, because nothing is left that would keep it.
import { guardedClient } from 'forksafe'

const feed = guardedClient('feed', {
  url: process.env.UPSTREAM ?? 'ws://127.0.0.1:8081',
})

await Promise.all([feed.connect(), feed.connect(), feed.connect()])
await feed.close()
