// Callers of a relay over its unix socket, for tests: one request, or many at once that go on until they are told to end.
// They never try again, and write down what was answered.

import { Agent, request } from 'node:http'

export interface RelayAnswer {
  status: number
  headers: NodeJS.Dict<string | string[]>
  /** What the body says, as JSON. */
  body: Record<string, unknown>
}

export interface RelayCall {
  method?: string
  path?: string
  headers?: Record<string, string>
  body?: string
  agent?: Agent
  /** ms, default 15 000. */
  timeout?: number
}

/** One request; by default a message of text for `feed`. */
export const callRelay = (
  socketPath: string,
  { method = 'POST', path = '/v1/feed', headers = {}, body = '', agent, timeout = 15_000 }: RelayCall,
): Promise<RelayAnswer> =>
  new Promise((resolve, reject) => {
    const call = request(
      {
        socketPath,
        method,
        path,
        headers: { 'Content-Type': 'text/plain', ...headers },
        agent: agent ?? false,
        timeout,
      },
      (response) => {
        const chunks: Buffer[] = []
        response.on('data', (chunk: Buffer) => chunks.push(chunk))
        response.on('error', reject)
        response.on('end', () => {
          const text = Buffer.concat(chunks).toString()
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            body: JSON.parse(text || '{}'),
          })
        })
      },
    )
    call.on('timeout', () => call.destroy(new Error(`no answer within ${timeout} ms`)))
    call.on('error', reject)
    call.end(body)
  })

export interface CallersResult {
  /** Texts of messages that were accepted, by the caller, in its order. */
  accepted: string[][]
  /** How requests failed: a status, or an error's code. */
  failures: string[]
}

/** ms between two messages of a caller: what is tested is how they fare, not how many there are. */
const PACE = 4
/** Whoever tried at once would count one failure many times. */
const AFTER_FAILURE = 20

/** Callers `0`, `1`, … that each send `0:1`, `0:2`, …, one after the other; half of them keep their connection. */
export const startCallers = (
  socketPath: string,
  count: number,
): { end: () => Promise<CallersResult>; sent: () => number } => {
  let isOver = false
  const accepted: string[][] = Array.from({ length: count }, () => [])
  const failures: string[] = []
  const agent = new Agent({ keepAlive: true, maxSockets: count })
  const run = async (caller: number): Promise<void> => {
    for (let number = 1; !isOver; number++) {
      const body = `${caller}:${number}`
      const headers = { 'Idempotency-Key': body, 'Ordering-Key': String(caller) }
      await new Promise((resolve) => setTimeout(resolve, PACE))
      try {
        const { status } = await callRelay(socketPath, {
          headers,
          body,
          ...(caller % 2 === 0 ? { agent } : {}),
        })
        // 200: its answer was lost on the way from the owner, who was asked again when it had arrived.
        if (status === 202 || status === 200) accepted[caller]?.push(body)
        else failures.push(String(status))
      } catch (error) {
        failures.push(error instanceof Error && 'code' in error ? String(error.code) : String(error))
        await new Promise((resolve) => setTimeout(resolve, AFTER_FAILURE))
      }
    }
  }
  const runs = accepted.map((_list, caller) => run(caller))
  return {
    sent: () => accepted.reduce((sum, list) => sum + list.length, 0),
    end: async () => {
      isOver = true
      await Promise.all(runs)
      agent.destroy()
      return { accepted, failures }
    },
  }
}

/** What of the accepted did not arrive, and whose order was not kept; a repetition counts where it came first. */
export const judgeArrivals = (
  { accepted }: CallersResult,
  arrived: readonly string[],
): { lost: string[]; repeated: number; outOfOrder: string[] } => {
  const first = [...new Set(arrived)]
  const all = new Set(first)
  const outOfOrder = accepted.flatMap((_list, caller) => {
    const numbers = first
      .filter((text) => text.startsWith(`${caller}:`))
      .map((text) => Number(text.split(':')[1]))
    return numbers.some((number, index) => number < (numbers[index - 1] ?? 0)) ? [String(caller)] : []
  })
  return {
    lost: accepted.flat().filter((text) => !all.has(text)),
    repeated: arrived.length - first.length,
    outOfOrder,
  }
}
