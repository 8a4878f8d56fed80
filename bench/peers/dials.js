// Opens and closes connections to a server of its own, one after the other, for so many ms; with the record of dialled
// sockets that a worker keeps, or without. Prints how many it managed.
import { once } from 'node:events'
import { connect, createServer } from 'node:net'

const [ms, record] = process.argv.slice(2)
if (record === 'record') {
  const { Outgoing } = await import('../../dist/worker/outgoing.js')
  new Outgoing('warn', () => {})
}
const server = createServer((socket) => socket.resume().on('error', () => {}))
server.listen(0, '127.0.0.1')
await once(server, 'listening')
const address = server.address()
const port = typeof address === 'object' && address !== null ? address.port : 0

/** @param {number} budget */
const dialFor = async (budget) => {
  const end = performance.now() + budget
  let count = 0
  for (; performance.now() < end; count++) {
    const socket = connect(port, '127.0.0.1')
    await once(socket, 'connect')
    // Reset, so that no port is kept in TIME_WAIT.
    socket.resetAndDestroy()
    await once(socket, 'close')
  }
  return count
}

await dialFor(Number(ms) / 2)
const begun = performance.now()
const before = process.cpuUsage()
const count = await dialFor(Number(ms))
const { user, system } = process.cpuUsage(before)
const seconds = (performance.now() - begun) / 1_000
console.log(JSON.stringify({ rate: count / seconds, perCpuSecond: count / ((user + system) / 1e6) }))
server.close()
