// T7 with a drain: close() takes no more, waits for the proof that the upstream has all pages, and makes the Close
// handshake, within a bound. What the process does afterwards cannot take anything away.
import { guardedClient } from 'forksafe'

const PAGES = 60
const PAGE_SIZE = 256 * 1024

const archive = guardedClient('archive', { url: process.env.UPSTREAM ?? 'ws://127.0.0.1:8081' })
await archive.connect()
const receipts = []
for (let n = 1; n <= PAGES; n++) receipts.push(archive.send(`page ${n} `.padEnd(PAGE_SIZE, '.')))
console.log('closing')
await archive.close()
await Promise.all(receipts) // All of them have settled; this would say which page failed, and why.
process.exit()
