// Which of the few paths of the ingress a request is for. Pure; what is done there is requests.ts.

import { badRequest, type Problem, problem } from './problem.js'

export type Route =
  | { kind: 'clients' }
  | { kind: 'message'; client: string }
  | { kind: 'batch'; client: string }
  | { kind: 'fate'; client: string; id: string }

/** No encoded characters in the name of a client: none of them needs any. */
const PATH = /^\/v1(?:\/([A-Za-z0-9._-]{1,64})(?:\/(?:(batch)|messages\/([^/?#]{1,384})))?)?$/

export const routeOf = (url: string): Route | Problem => {
  const found = PATH.exec(url)
  if (found === null) return notFound(url)
  const [, client, batch, id] = found
  if (client === undefined) return { kind: 'clients' }
  if (batch !== undefined) return { kind: 'batch', client }
  return id === undefined ? { kind: 'message', client } : fateRoute(client, id)
}

const METHODS: Record<Route['kind'], readonly string[]> = {
  clients: ['GET', 'HEAD'],
  message: ['POST'],
  batch: ['POST'],
  fate: ['GET', 'HEAD'],
}

/** Null when the method is one of the path's. */
export const refuseMethod = ({ kind }: Route, method: string | undefined): Problem | null => {
  const allowed = METHODS[kind]
  if (method !== undefined && allowed.includes(method)) return null
  const allow = allowed.join(', ')
  return { ...problem(405, 'FORKSAFE_ERR_RELAY_METHOD', `this path has ${allow} and nothing else`), allow }
}

const fateRoute = (client: string, encoded: string): Route | Problem => {
  try {
    return { kind: 'fate', client, id: decodeURIComponent(encoded) }
  } catch {
    return badRequest('the id in the path is not percent-encoded UTF-8')
  }
}

const notFound = (url: string): Problem => {
  if (!url.startsWith('/'))
    return badRequest('the target of the request is not a path; write it as /v1/CLIENT')
  if (url.includes('?')) return badRequest('no path of a relay has a query; ids and the like are headers')
  return problem(
    404,
    'FORKSAFE_ERR_RELAY_REQUEST',
    'there is no such path; there is POST /v1/CLIENT, POST /v1/CLIENT/batch, GET /v1/CLIENT/messages/ID, GET /v1',
  )
}
