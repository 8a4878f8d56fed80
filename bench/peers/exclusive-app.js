// The app of bench/exclusive.js and bench/handoff.js, of which one process shall be connected to the upstream at UPSTREAM:
//
//   GUARD=forksafe      an exclusive guarded client; all processes send through it
//   GUARD=instance-0    the recipe for pm2: only the process with NODE_APP_INSTANCE 0 connects, and so only it sends
//   GUARD=none          every process connects, and sends over its own connection
//
// Written by hand is what one writes: connect again when it closes, keep what cannot be sent yet, and on SIGINT send what
// is left, make the close handshake, leave. With EVERY each sender sends a numbered message each so many ms, and notes it
// in the folder JOURNALS before it does.
import { openSync, writeSync } from 'node:fs'
import { createServer } from 'node:http'

const { GUARD, UPSTREAM, EVERY = '0', JOURNALS, PORT, SUPERVISOR_SLOT, NODE_APP_INSTANCE } = process.env
const RECONNECT_AFTER = 100
const slot = SUPERVISOR_SLOT ?? NODE_APP_INSTANCE ?? '0'
const url = `${UPSTREAM}?who=${slot}.${process.pid}`
let clock = setInterval(() => {}, 60_000)

if (GUARD === 'forksafe') await guarded()
else if (GUARD === 'none' || NODE_APP_INSTANCE === '0') await byHand()
createServer((_request, response) => response.end(String(process.pid))).listen(Number(PORT))

async function guarded() {
  const { guardedClient, onShutdown } = await import('forksafe')
  const client = guardedClient('feed', { url, exclusive: true, onUnconfirmed: 'resend' })
  client.connect().catch(() => {})
  startSending((text) => void client.send(text).catch(() => {}))
  onShutdown(() => clearInterval(clock))
}

async function byHand() {
  const { WebSocket } = await import('ws')
  /** @type {string[]} */
  const queue = []
  let isLeaving = false
  /** @type {import('ws').WebSocket} */
  let socket
  const flush = () => {
    if (socket.readyState !== WebSocket.OPEN) return
    for (const text of queue.splice(0)) socket.send(text)
  }
  const connect = () => {
    socket = new WebSocket(url, { perMessageDeflate: false })
    socket.on('error', () => {})
    socket.on('open', flush)
    socket.on('close', () => {
      if (isLeaving) process.exit(0)
      setTimeout(connect, RECONNECT_AFTER)
    })
  }
  connect()
  startSending((text) => {
    queue.push(text)
    flush()
  })
  process.on('SIGINT', () => {
    isLeaving = true
    clearInterval(clock)
    flush()
    socket.close(1001)
  })
}

/** @param {(text: string) => void} send */
function startSending(send) {
  if (Number(EVERY) === 0) return
  const journal = openSync(`${JOURNALS}/${process.pid}`, 'a')
  let number = 0
  clearInterval(clock)
  clock = setInterval(() => {
    const text = `${process.pid} ${++number}`
    writeSync(journal, `${text}\n`)
    send(text)
  }, Number(EVERY))
}
