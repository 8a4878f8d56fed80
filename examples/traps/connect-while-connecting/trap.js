// T4: connect() while connecting. Three parts of an application ask for the connection at its start, before the first
// attempt has come to its end. Each begins an attempt of its own, and all succeed. `socket` is the last one: close()
// closes that, and the other two stay, known to nobody.
import { once } from 'node:events'
import { WebSocket } from 'ws'

class Feed {
  /** @type {WebSocket | null} */
  socket = null

  async connect() {
    if (this.socket?.readyState === WebSocket.OPEN) return
    this.socket = new WebSocket(process.env.UPSTREAM ?? 'ws://127.0.0.1:8081')
    await once(this.socket, 'open')
  }

  close() {
    this.socket?.close()
  }
}

const feed = new Feed()
await Promise.all([feed.connect(), feed.connect(), feed.connect()])
feed.close()
