// The JSON body of a control request, bounded.

import type { IncomingMessage } from 'node:http'
import { Refusal } from './refusal.js'

const MAX_BODY = 64 * 1024

/**
 * The object in the body; an empty body is an empty object.
 *
 * @param allowed the keys that it may have.
 * @throws Refusal 413 for more than 64 KiB, 400 for anything that is not such an object.
 */
export const readBody = async (
  request: IncomingMessage,
  allowed: readonly string[],
): Promise<Record<string, unknown>> => {
  if (Number(request.headers['content-length'] ?? 0) > MAX_BODY) throw tooLarge()
  const text = (await readBounded(request)).toString('utf8').trim()
  return text === '' ? {} : parse(text, allowed)
}

/** By events: leaving a `for await` early would destroy the connection before it is told why. Node reads on in vain. */
const readBounded = (request: IncomingMessage): Promise<Buffer> =>
  new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let length = 0
    request.on('data', (chunk: Buffer) => {
      length += chunk.length
      if (length <= MAX_BODY) chunks.push(chunk)
      else reject(tooLarge())
    })
    request.on('end', () => resolve(Buffer.concat(chunks)))
    request.on('close', () => reject(new Refusal(400, 'the request was not complete')))
  })

const parse = (text: string, allowed: readonly string[]): Record<string, unknown> => {
  let parsed: unknown
  try {
    parsed = JSON.parse(text)
  } catch {
    throw new Refusal(400, 'the body is not valid JSON')
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) {
    throw new Refusal(400, 'the body is not a JSON object')
  }
  const fields = Object.entries(parsed)
  const unknown = fields.find(([key]) => !allowed.includes(key))
  if (unknown !== undefined) {
    const known = allowed.length === 0 ? 'there are no fields here' : `there is ${allowed.join(', ')}`
    throw new Refusal(400, `${JSON.stringify(unknown[0].slice(0, 64))} is not a field of the body; ${known}`)
  }
  return Object.fromEntries(fields)
}

const tooLarge = (): Refusal => new Refusal(413, `the body is larger than ${MAX_BODY} bytes`)
