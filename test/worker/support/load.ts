// Load by clients that never retry: every request either is answered whole or counts as failed.

import { Agent, request } from 'node:http'

export interface Load {
  readonly answered: number
  readonly failures: string[]
  /** Waits for the requests under way and sends no more. */
  stop(): Promise<void>
}

interface Kind {
  clients: number
  keepAlive: boolean
  path: string
  /** ms between an answer and the next request of a client. */
  pause: number
}

/** Keep-alive, a connection per request, and slow requests, all at once. */
export const MIXED: readonly Kind[] = [
  { clients: 10, keepAlive: true, path: '/', pause: 3 },
  { clients: 5, keepAlive: false, path: '/', pause: 3 },
  { clients: 10, keepAlive: true, path: '/slow', pause: 3 },
  { clients: 5, keepAlive: false, path: '/slow', pause: 3 },
]

/** A request without an answer for this long is lost: a socket that nobody serves hangs for ever. */
const LOST_AFTER = 8_000

export const startLoad = (port: number, kinds: readonly Kind[] = MIXED): Load => {
  const failures: string[] = []
  let answered = 0
  let isStopped = false
  const agents: Agent[] = []
  const client = async ({ keepAlive, path, pause }: Kind): Promise<void> => {
    const agent = new Agent({ keepAlive, maxSockets: 1 })
    agents.push(agent)
    while (!isStopped) {
      try {
        await get(port, path, agent)
        answered++
      } catch (error) {
        failures.push(`${path} ${keepAlive ? 'keep-alive' : 'close'}: ${String(error)}`)
      }
      await new Promise((resolve) => setTimeout(resolve, pause))
    }
  }
  const clients = kinds.flatMap((kind) => Array.from({ length: kind.clients }, () => client(kind)))
  return {
    get answered() {
      return answered
    },
    failures,
    async stop() {
      isStopped = true
      await Promise.all(clients)
      for (const agent of agents) agent.destroy()
    },
  }
}

export const get = (port: number, path: string, agent: Agent | false = false): Promise<string> =>
  new Promise((resolve, reject) => {
    const outgoing = request({ host: '127.0.0.1', port, path, agent }, (response) => {
      let body = ''
      response.setEncoding('utf8').on('data', (chunk: string) => {
        body += chunk
      })
      response.on('end', () =>
        response.statusCode === 200 ? resolve(body) : reject(new Error(`status ${response.statusCode}`)),
      )
      response.on('error', reject)
    })
    outgoing.setTimeout(LOST_AFTER, () => outgoing.destroy(new Error('no answer')))
    outgoing.on('error', reject)
    outgoing.end()
  })
