// A TCP relay in front of a server, so that connections can be cut, reset or stalled where a network would do it: the
// server and the client are as they are.

import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import type { Test } from 'tap'

export interface Relayed {
  /** No byte goes either way any more, and no end either: half open. */
  stall(): void
  /** What was stalled goes on. */
  flow(): void
  /** Both sides see a reset. */
  reset(): void
  /** Nothing goes to the server any more; what it sends still arrives. */
  stallUpward(): void
}

export interface TcpRelay {
  url: string
  /** In the order in which they were accepted. */
  connections: Relayed[]
  /** How many are open now. */
  readonly open: number
  /** Settles when the `nth` connection, counted from 1, has been accepted. */
  accepted(nth: number): Promise<Relayed>
}

export const tcpRelay = async (t: Test, target: string): Promise<TcpRelay> => {
  const { port, hostname } = new URL(target)
  const sockets = new Set<Socket>()
  const connections: Relayed[] = []
  const server = createServer((near) => {
    const far = connect(Number(port), hostname)
    let isUpwardStalled = false
    for (const [socket, other] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(socket)
      socket.on('error', () => {})
      socket.on('close', () => {
        sockets.delete(socket)
        other.destroy()
      })
      socket.on('end', () => other.end())
    }
    near.on('data', (chunk) => {
      if (!isUpwardStalled && !far.write(chunk)) near.pause()
    })
    far.on('drain', () => near.resume())
    far.pipe(near, { end: false })
    connections.push({
      stall: () => {
        far.unpipe(near)
        far.pause()
        near.pause()
      },
      flow: () => {
        far.pipe(near, { end: false })
        near.resume()
      },
      reset: () => {
        near.resetAndDestroy()
        far.resetAndDestroy()
      },
      stallUpward: () => {
        isUpwardStalled = true
      },
    })
    server.emit('relayed')
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return {
    url: `ws://127.0.0.1:${(server.address() as AddressInfo).port}`,
    connections,
    get open() {
      return sockets.size / 2
    },
    accepted: async (nth) => {
      while (connections.length < nth) await once(server, 'relayed')
      return connections[nth - 1] as Relayed
    },
  }
}
