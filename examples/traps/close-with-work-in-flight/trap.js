// T7: close with work in flight. It looks orderly: everything was sent, the socket is closed, then the process ends. But
// `send` and `close` have only begun. What the kernel has not taken by then vanishes with the process, the Close frame
// with it, and the upstream is left with half a report and no end.
import { once } from 'node:events'
import { WebSocket } from 'ws'

const PAGES = 60
const PAGE_SIZE = 256 * 1024

const archive = new WebSocket(process.env.UPSTREAM ?? 'ws://127.0.0.1:8081')
await once(archive, 'open')
for (let n = 1; n <= PAGES; n++) archive.send(`page ${n} `.padEnd(PAGE_SIZE, '.'))
console.log('closing')
archive.close()
process.exit()
