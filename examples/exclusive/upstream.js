// The other side, to watch: prints each connection that opens and ends, and how many are open.
//   node examples/exclusive/upstream.js      on port 8081, or PORT
import { RecordingUpstream } from '../feed/upstream.js'

const upstream = new RecordingUpstream({ keepsMessages: false })
upstream.on('record', ({ event, connection, openNow }) => {
  const { slot, pid, code } = connection
  const who = `worker ${slot} (pid ${pid})`
  if (event === 'open') console.log(`open   ${who}  (now ${openNow})`)
  if (event === 'gone' && connection.openedAt !== null)
    console.log(`close  ${who}  ${code === null ? 'no Close frame' : `code ${code}`}  (now ${openNow})`)
})
await upstream.listen(Number(process.env.PORT ?? '8081'))
console.log(`upstream ${upstream.url}`)
