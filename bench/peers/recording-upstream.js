// The upstream of bench/exclusive.js and bench/handoff.js, in a process of its own: notes when each connection came, was
// open and was over, and which numbered messages it brought. Identity is the path; who it is, says `?who=`. Times are ms
// of the machine's monotonic clock. Whatever it is sent over IPC it answers with all that it knows.
//
// A connection is over when the Close handshake is complete, or the client's end of the TCP connection is closed: a Close
// frame alone ends nothing.
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { WebSocketServer } from 'ws'

/** @typedef {{ identity: string, who: string, came: number, opened: number, over: number | null }} Span */

const ESTABLISHED = '01'
/** @type {Span[]} */
const spans = []
/** How often each message came, by `SENDER NUMBER`. @type {Map<string, number>} */
const messages = new Map()
/** When a TCP connection was accepted. @type {WeakMap<object, number>} */
const accepted = new WeakMap()
/** @type {Map<Span, import('node:stream').Duplex>} */
const live = new Map()
const now = () => Number(process.hrtime.bigint()) / 1e6

const http = createServer()
const upgrades = new WebSocketServer({ noServer: true, perMessageDeflate: false })
http.on('connection', (socket) => accepted.set(socket, now()))
http.on('upgrade', (request, socket, head) => {
  const { pathname, searchParams } = new URL(request.url ?? '/', 'ws://upstream')
  const identity = pathname.slice(1)
  upgrades.handleUpgrade(request, socket, head, (webSocket) => {
    for (const [other, one] of live)
      if (other.identity === identity && !isEstablished(/** @type {import('node:net').Socket} */ (one)))
        over(other)
    const came = accepted.get(socket) ?? Number.NaN
    /** @type {Span} */
    const span = { identity, who: searchParams.get('who') ?? '', came, opened: now(), over: null }
    spans.push(span)
    live.set(span, socket)
    process.send?.({ opened: span })
    socket.on('end', () => over(span))
    socket.on('close', () => over(span))
    webSocket.on('error', () => {})
    webSocket.on('message', (data) => {
      const name = String(data)
      messages.set(name, (messages.get(name) ?? 0) + 1)
    })
    // What `ws` calls when it has read a Close frame: it answers it.
    const close = webSocket.close.bind(webSocket)
    webSocket.close = (code, reason) => {
      close(code, reason)
      over(span)
    }
  })
})

/** @param {Span} span */
function over(span) {
  if (live.delete(span)) span.over = now()
}

/** What the kernel knows, whatever this loop has not come to read yet. @param {import('node:net').Socket} socket */
function isEstablished({ localPort = 0, remotePort = 0 }) {
  const hex = (/** @type {number} */ port) => port.toString(16).toUpperCase().padStart(4, '0')
  const ends = new RegExp(`: [0-9A-F]+:${hex(localPort)} [0-9A-F]+:${hex(remotePort)} ([0-9A-F]{2}) `)
  return ends.exec(readFileSync('/proc/net/tcp', 'latin1'))?.[1] === ESTABLISHED
}

process.on('message', () => process.send?.({ spans, messages: [...messages] }))
http.listen(0, '127.0.0.1', () =>
  process.send?.({ port: /** @type {import('node:net').AddressInfo} */ (http.address()).port }),
)
