// Who waits in other processes for messages to be settled: one request per process, lines of wanted ids up, lines of fates
// down. A line is a JSON array: `[client, id]` up, `[client, id, fate]` down.

import type { IncomingMessage, ServerResponse } from 'node:http'
import { parsed } from './desk-wire.js'
import type { Owner } from './owner.js'

/** Longest line: a name and an id. */
const MAX_LINE = 1_024
/** Most that one process may wait for. */
const MAX_WAITING = 100_000

export const watchFates = (
  request: IncomingMessage,
  response: ServerResponse,
  owner: Owner,
  ending: AbortSignal,
): void => {
  const waiting = new Map<string, () => void>()
  let told: string[] = []
  const flush = (): void => {
    const text = told.join('')
    told = []
    if (!response.destroyed) response.write(text)
  }
  const want = (line: string): void => {
    const wanted = parsed(line)
    if (!Array.isArray(wanted)) return
    const [client, id] = wanted.map(String)
    if (client === undefined || id === undefined || waiting.has(line) || waiting.size >= MAX_WAITING) return
    waiting.set(
      line,
      owner.onSettled(client, id, (fate) => {
        waiting.delete(line)
        // What is settled together is told together.
        if (told.push(`${JSON.stringify([client, id, fate])}\n`) === 1) setImmediate(flush)
      }),
    )
  }
  const end = (): void => {
    ending.removeEventListener('abort', end)
    for (const forget of waiting.values()) forget()
    waiting.clear()
    if (told.length > 0) flush()
    response.end()
  }
  ending.addEventListener('abort', end)
  response.writeHead(200, { 'content-type': 'application/x-ndjson' })
  response.flushHeaders()
  response.on('close', end)
  onLines(request, want, () => response.destroy())
  request.on('end', end)
}

/** @param tooLong called instead of keeping more than a line may be. */
export const onLines = (
  stream: NodeJS.ReadableStream,
  onLine: (line: string) => void,
  tooLong: () => void,
  longest = MAX_LINE,
): void => {
  let rest = ''
  stream.setEncoding('utf8')
  stream.on('data', (text: string) => {
    const lines = (rest + text).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) if (line !== '') onLine(line)
    if (rest.length > longest) tooLong()
  })
}
