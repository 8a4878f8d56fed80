// A recording upstream: a real WebSocket server that writes down every connection, upgrade, message and close as it
// sees them, with its own clock. The demo prints what it records; tests ask it questions (test/support/recording-upstream.ts).
//
// It is a witness, not a mock: it knows nothing of supervisors or clients beyond what travels on the connection. Who
// connects is read from the URL's query or from headers: slot, pid, generation (`?slot=0&pid=7` or `x-slot: 0`).
import { EventEmitter } from 'node:events'
import { createServer } from 'node:http'
import { WebSocketServer } from 'ws'

/**
 * @typedef {object} UpstreamConnection  One accepted TCP connection; times are unix ms with fractions.
 * @property {number} id  Counted from 1, in order of acceptance.
 * @property {string | null} slot
 * @property {string | null} pid
 * @property {string | null} generation
 * @property {string | null} path  Of the request, or null if none was ever read.
 * @property {number} acceptedAt
 * @property {number | null} openedAt  When the upgrade was answered with 101; null for what never became a WebSocket.
 * @property {number} messages
 * @property {number | null} closeFrameAt  When the peer's Close frame was read; null if none came.
 * @property {number | null} code  Of the peer's Close frame, 1005 for an empty one; null if none came.
 * @property {string} reason
 * @property {number | null} goneAt  When the TCP connection had ended.
 */

/** @typedef {'accept' | 'open' | 'refuse' | 'hang' | 'message' | 'closeFrame' | 'gone'} UpstreamEvent */

/**
 * @typedef {object} UpstreamRecord
 * @property {number} at
 * @property {UpstreamEvent} event  `gone` is the end of the TCP connection, `closeFrame` the arrival of a Close frame.
 * @property {UpstreamConnection} connection  The live object: it goes on changing after the record was made.
 * @property {string | undefined} data  Text of a `message`.
 * @property {number} openNow  WebSockets open after this event.
 */

/**
 * @typedef {object} UpstreamBehaviour  How it treats its peers; may be changed at any time.
 * @property {boolean} answersClose  false: a Close frame is read and never answered. Default true.
 * @property {number | null} refuseWith  An HTTP status that answers every upgrade. Default null.
 * @property {boolean} hangsUpgrade  true: an upgrade is read and never answered. Default false.
 * @property {boolean} echoes  true: each message is sent back. Default false.
 */

/** @type {UpstreamBehaviour} */
const WELL_BEHAVED = { answersClose: true, refuseWith: null, hangsUpgrade: false, echoes: false }
const DEFAULT_WAIT = 10_000

const now = () => performance.timeOrigin + performance.now()

/** Emits `record` with an {@link UpstreamRecord} for everything it sees. */
export class RecordingUpstream extends EventEmitter {
  /** @type {UpstreamRecord[]} */
  records = []
  /** Every TCP connection ever accepted, in order. @type {UpstreamConnection[]} */
  connections = []
  /** @type {UpstreamBehaviour} */
  behaviour
  /** Most WebSockets that were open at once, for each slot. @type {Map<string, number>} */
  maxOpenBySlot = new Map()
  #http = createServer((_request, response) => response.writeHead(426).end('this is a WebSocket server\n'))
  #ws = new WebSocketServer({ noServer: true, perMessageDeflate: false })
  /** @type {Map<import('node:net').Socket, UpstreamConnection>} */
  #sockets = new Map()
  /** How to send a Close frame of our own. @type {Map<import('ws').WebSocket, (code?: number, reason?: string | Buffer) => void>} */
  #closers = new Map()
  #openNow = 0
  #keepsMessages = true

  /** @param {Partial<UpstreamBehaviour> & { keepsMessages?: boolean }} [behaviour] `keepsMessages: false` only counts them. */
  constructor({ keepsMessages = true, ...behaviour } = {}) {
    super()
    this.setMaxListeners(0)
    this.#keepsMessages = keepsMessages
    this.behaviour = { ...WELL_BEHAVED, ...behaviour }
    this.#http.on('connection', (socket) => this.#accept(socket))
    this.#http.on('upgrade', (request, socket, head) => {
      this.#upgrade(request, /** @type {import('node:net').Socket} */ (socket), head)
    })
  }

  /** Listens on loopback. @param {number} [port] 0 (default) takes a free one. @returns {Promise<this>} */
  async listen(port = 0) {
    await new Promise((resolve, reject) => {
      this.#http.once('error', reject).listen(port, '127.0.0.1', () => resolve(undefined))
    })
    return this
  }

  get port() {
    const address = this.#http.address()
    if (address === null || typeof address === 'string') throw new Error('this upstream does not listen')
    return address.port
  }

  get url() {
    return `ws://127.0.0.1:${this.port}`
  }

  /** WebSockets open now: upgraded, and the TCP connection not ended. */
  get open() {
    return this.upgraded.filter(({ goneAt }) => goneAt === null)
  }

  /** Connections that became a WebSocket, ended or not. */
  get upgraded() {
    return this.connections.filter(({ openedAt }) => openedAt !== null)
  }

  /** TCP connections that have not ended, upgraded or not. */
  get connected() {
    return this.connections.filter(({ goneAt }) => goneAt === null)
  }

  /** WebSockets that ended, and whose peer never sent a Close frame. */
  get closedWithoutCloseFrame() {
    return this.upgraded.filter(({ goneAt, closeFrameAt }) => goneAt !== null && closeFrameAt === null)
  }

  /** Texts of all messages, in the order of their arrival. */
  get messages() {
    return this.records.flatMap(({ event, data }) =>
      event === 'message' && data !== undefined ? [data] : [],
    )
  }

  /** @param {string | number} slot */
  openOfSlot(slot) {
    return this.open.filter((connection) => connection.slot === String(slot))
  }

  /**
   * Waits until `predicate` holds, looking again after each record.
   *
   * @param {(upstream: this) => boolean} predicate
   * @param {{ what?: string, timeout?: number }} [options] `what` completes "waited for …"; ms, default 10 000.
   * @returns {Promise<this>} rejects at the deadline, with what it waited for and the last records.
   */
  waitFor(predicate, { what = String(predicate), timeout = DEFAULT_WAIT } = {}) {
    return new Promise((resolve, reject) => {
      const look = () => {
        if (!predicate(this)) return
        clearTimeout(timer)
        this.off('record', look)
        resolve(this)
      }
      const timer = setTimeout(() => {
        this.off('record', look)
        reject(
          new Error(`the upstream waited ${timeout} ms for ${what}; last records:\n${this.describe(20)}`),
        )
      }, timeout)
      this.on('record', look)
      look()
    })
  }

  /** The last records, one a line. @param {number} [count] */
  describe(count = 20) {
    const lines = this.records.slice(-count).map(({ at, event, connection, openNow }) => {
      const { id, slot, pid, generation, code } = connection
      return `${new Date(at).toISOString()} ${event} #${id} slot ${slot} pid ${pid} generation ${generation} code ${code} (now ${openNow})`
    })
    return lines.length === 0 ? 'nothing' : lines.join('\n')
  }

  /** Sends to every open WebSocket. @param {string} text */
  broadcast(text) {
    for (const client of this.#ws.clients) client.send(text, () => {})
  }

  /** Reads from no WebSocket that is open, as a busy upstream does, until resume(). */
  pause() {
    for (const client of this.#ws.clients) client.pause()
  }

  resume() {
    for (const client of this.#ws.clients) client.resume()
  }

  /** Ends every connection with a reset, as a crashing upstream does; it goes on listening. */
  resetAll() {
    for (const socket of this.#sockets.keys()) socket.resetAndDestroy()
  }

  /** Sends a Close frame of its own to every open WebSocket. @param {number} code @param {string} [reason] */
  closeAll(code, reason = '') {
    for (const close of this.#closers.values()) close(code, reason)
  }

  /** Stops listening, destroys what is left and settles when all is gone. */
  async stop() {
    const closed = new Promise((resolve) => this.#http.close(() => resolve(undefined)))
    for (const socket of this.#sockets.keys()) socket.destroy()
    await closed
  }

  /** @param {import('node:net').Socket} socket */
  #accept(socket) {
    /** @type {UpstreamConnection} */
    const connection = {
      id: this.connections.length + 1,
      slot: null,
      pid: null,
      generation: null,
      path: null,
      acceptedAt: now(),
      openedAt: null,
      messages: 0,
      closeFrameAt: null,
      code: null,
      reason: '',
      goneAt: null,
    }
    this.connections.push(connection)
    this.#sockets.set(socket, connection)
    socket.on('error', () => {}) // A reset is recorded as `gone`, without a Close frame.
    socket.on('close', () => {
      this.#sockets.delete(socket)
      connection.goneAt = now()
      if (connection.openedAt !== null) this.#openNow -= 1
      this.#record('gone', connection)
    })
    this.#record('accept', connection)
  }

  /** @param {import('node:http').IncomingMessage} request @param {import('node:net').Socket} socket @param {Buffer} head */
  #upgrade(request, socket, head) {
    const connection = this.#sockets.get(socket)
    if (connection === undefined) return
    identify(connection, request)
    const { refuseWith, hangsUpgrade } = this.behaviour
    if (hangsUpgrade) {
      socket.resume().on('end', () => socket.end())
      this.#record('hang', connection)
      return
    }
    if (refuseWith !== null) {
      socket.end(`HTTP/1.1 ${refuseWith} Refused\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`)
      this.#record('refuse', connection)
      return
    }
    this.#ws.handleUpgrade(request, socket, head, (client) => this.#open(connection, client))
  }

  /** @param {UpstreamConnection} connection @param {import('ws').WebSocket} client */
  #open(connection, client) {
    connection.openedAt = now()
    this.#openNow += 1
    const slot = connection.slot ?? ''
    this.maxOpenBySlot.set(slot, Math.max(this.maxOpenBySlot.get(slot) ?? 0, this.openOfSlot(slot).length))
    client.on('error', () => {})
    client.on('message', (data, isBinary) => {
      connection.messages += 1
      if (this.#keepsMessages) this.#record('message', connection, String(data))
      if (this.behaviour.echoes) client.send(data, { binary: isBinary }, () => {})
    })
    this.#watchCloseFrame(connection, client)
    this.#record('open', connection)
  }

  /**
   * `ws` answers a Close frame by calling its own public `close` in the turn in which it reads the frame, while its
   * 'close' event comes only when the TCP connection has ended: so the call tells the earlier, truer time. The same
   * call follows a protocol error; only the flag (ws 8) tells the two apart.
   * @param {UpstreamConnection} connection @param {import('ws').WebSocket} client
   */
  #watchCloseFrame(connection, client) {
    const answer = client.close.bind(client)
    this.#closers.set(client, answer)
    client.close = (code, reason) => {
      if (connection.closeFrameAt === null && Reflect.get(client, '_closeFrameReceived') === true) {
        Object.assign(connection, { closeFrameAt: now(), code: code ?? 1005, reason: String(reason ?? '') })
        this.#record('closeFrame', connection)
      }
      if (this.behaviour.answersClose) answer(code, reason)
    }
    client.on('close', () => this.#closers.delete(client))
  }

  /** @param {UpstreamEvent} event @param {UpstreamConnection} connection @param {string} [data] */
  #record(event, connection, data) {
    /** @type {UpstreamRecord} */
    const record = { at: now(), event, connection, data, openNow: this.#openNow }
    this.records.push(record)
    this.emit('record', record)
  }
}

/** Starts a {@link RecordingUpstream} on a free loopback port. @param {ConstructorParameters<typeof RecordingUpstream>[0]} [behaviour] */
export const startUpstream = (behaviour) => new RecordingUpstream(behaviour).listen()

/** @param {UpstreamConnection} connection @param {import('node:http').IncomingMessage} request */
const identify = (connection, request) => {
  const url = new URL(request.url ?? '/', 'ws://upstream')
  /** @param {string} key */
  const told = (key) => url.searchParams.get(key) ?? headerOf(request, `x-${key}`)
  connection.path = url.pathname
  connection.slot = told('slot')
  connection.pid = told('pid')
  connection.generation = told('generation')
}

/** @param {import('node:http').IncomingMessage} request @param {string} name */
const headerOf = (request, name) => {
  const value = request.headers[name]
  return typeof value === 'string' ? value : null
}
