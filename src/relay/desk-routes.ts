// What the owner's desk answers. Whoever asks is this user, and a process of ours: what is wrong with a request is told in
// a status and no more.

import type { IncomingMessage, ServerResponse } from 'node:http'
import { messageOf } from '../shared/errors.js'
import { watchFates } from './desk-watch.js'
import { DESK_PATHS, decodeBatch, encodeOutcomes, MAX_BATCH_BODY, parsed } from './desk-wire.js'
import type { Owner } from './owner.js'
import { type KnownMessage, show, showParked } from './shown-message.js'
import type { Spool } from './spool.js'

/** What is listed at once, and of one message shown. */
const MAX_LIST = 10_000

/** @param ending aborted when the owner leaves: nothing new is taken then. */
export const answerDesk = (
  request: IncomingMessage,
  response: ServerResponse,
  owner: Owner,
  ending: AbortSignal,
): void => {
  const { pathname, searchParams } = new URL(request.url ?? '/', 'http://desk')
  if (ending.aborted) return send(response, 503, { error: 'the owner is leaving' })
  if (pathname === DESK_PATHS.watch) return watchFates(request, response, owner, ending)
  const ask: Ask = { request, owner, client: searchParams.get('client') ?? '', query: searchParams }
  const route = Object.hasOwn(ROUTES, pathname) ? ROUTES[pathname] : undefined
  if (route === undefined) return send(response, 404, { error: 'no such path' })
  route(ask).then(
    (answer) => send(response, answer.status ?? 200, answer.body),
    (error: unknown) => send(response, 500, { error: messageOf(error) }),
  )
}

interface Ask {
  request: IncomingMessage
  owner: Owner
  client: string
  query: URLSearchParams
}

interface Answer {
  status?: number
  /** Text is JSON already. */
  body: unknown
}

type Route = (ask: Ask) => Promise<Answer>

const append: Route = async ({ request, owner, client }) => {
  const bytes = await bodyOf(request)
  const messages = bytes === null ? null : decodeBatch(bytes)
  if (messages === null) return { status: 400, body: { error: 'not a batch of this version' } }
  return { body: encodeOutcomes(await owner.append(client, messages)) }
}

const fate: Route = async ({ owner, client, query }) => ({
  body: { fate: await owner.fate(client, query.get('id') ?? '') },
})

const status: Route = async ({ owner }) => ({ body: owner.status() })

const list: Route = ofSpool(async (spool, { query }) => {
  const after = numberIn(query, 'after')
  const limit = Math.min(numberIn(query, 'limit') ?? MAX_LIST, MAX_LIST)
  const messages = await spool.list(after === null ? { limit } : { after, limit })
  return { body: messages.map((message) => show(message)) }
})

const parked: Route = ofSpool(async (spool, { query }) => {
  const limit = Math.min(numberIn(query, 'limit') ?? MAX_LIST, MAX_LIST)
  return { body: (await spool.parked()).slice(0, limit).map((message) => showParked(message)) }
})

const message: Route = ofSpool(async (spool, { query }) => ({
  body: await known(spool, query.get('id') ?? ''),
}))

/** With its body where it waits or is parked. */
const known = async (spool: Spool, id: string): Promise<KnownMessage | null> => {
  const parkedOne = (await spool.parked()).find((each) => each.id === id)
  if (parkedOne !== undefined) return { ...showParked(parkedOne, true), state: 'parked' }
  const found = await spool.fate(id)
  if (found?.state !== 'queued') return found
  const [waiting] = await spool.list({ after: found.seq - 1, limit: 1 })
  return waiting?.id === id ? { ...show(waiting, true), ...found } : found
}

/** `{ ids }` or, of parked ones, `{ all: true }`; answers which it was done to. */
const each =
  (act: (owner: Owner, spool: Spool, client: string, id: string) => Promise<string | null>): Route =>
  async (ask) => {
    const { owner, client, request } = ask
    const spool = owner.spoolOf(client)
    const wanted = parsed((await bodyOf(request))?.toString('utf8') ?? '')
    if (spool === null || typeof wanted !== 'object' || wanted === null)
      return { status: 400, body: { error: 'no such client, or no ids' } }
    const isAll = 'all' in wanted && wanted.all === true
    const ids = isAll
      ? (await spool.parked()).map(({ id }) => id)
      : 'ids' in wanted && Array.isArray(wanted.ids)
        ? wanted.ids.map(String)
        : []
    const done: string[] = []
    const failed: { id: string; why: string }[] = []
    for (const id of ids) {
      const why = await act(owner, spool, client, id)
      if (why === null) done.push(id)
      else failed.push({ id, why })
    }
    return { body: { done, failed } }
  }

const retry = each(async (_owner, spool, _client, id) => {
  const outcome = await spool.retry(id)
  if (outcome === false) return 'it is not parked'
  if (outcome.outcome === 'refused') return outcome.refusal.message
  return outcome.outcome === 'conflict' ? 'another message has its id' : null
})

const drop = each(async (owner, _spool, client, id) =>
  (await owner.drop(client, id)) ? null : 'it neither waits nor is it parked',
)

function ofSpool(answer: (spool: Spool, ask: Ask) => Promise<Answer>): Route {
  return async (ask) => {
    const spool = ask.owner.spoolOf(ask.client)
    return spool === null ? { status: 404, body: { error: 'no such client' } } : answer(spool, ask)
  }
}

const ROUTES: Record<string, Route> = {
  [DESK_PATHS.append]: append,
  [DESK_PATHS.fate]: fate,
  [DESK_PATHS.status]: status,
  [DESK_PATHS.list]: list,
  [DESK_PATHS.parked]: parked,
  [DESK_PATHS.message]: message,
  [DESK_PATHS.retry]: retry,
  [DESK_PATHS.drop]: drop,
}

const numberIn = (query: URLSearchParams, name: string): number | null => {
  const value = Number(query.get(name) ?? Number.NaN)
  return Number.isSafeInteger(value) ? value : null
}

const send = (response: ServerResponse, status: number, body: unknown): void => {
  if (response.destroyed || response.headersSent) return
  const text = typeof body === 'string' ? body : JSON.stringify(body)
  response.writeHead(status, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(text),
    ...(status === 503 ? { connection: 'close' } : {}),
  })
  response.end(text)
}

/** Null: too large, or it was cut. */
const bodyOf = (request: IncomingMessage): Promise<Buffer | null> =>
  new Promise((resolve) => {
    const chunks: Buffer[] = []
    let size = 0
    request.on('data', (chunk: Buffer) => {
      size += chunk.length
      if (size > MAX_BATCH_BODY) request.destroy()
      else chunks.push(chunk)
    })
    request.on('end', () => resolve(chunks.length === 1 ? (chunks[0] ?? null) : Buffer.concat(chunks, size)))
    request.on('close', () => resolve(null))
  })
