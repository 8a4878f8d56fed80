// A client of its own for a test: short pauses, and gone with the test.

import type { Test } from 'tap'
import { type GuardedClient, type GuardedClientOptions, guardedClient } from '../../src/client/index.js'

let clients = 0

export const newClient = (
  t: Test,
  url: string,
  options: Partial<GuardedClientOptions> = {},
): GuardedClient => {
  const client = guardedClient(`client ${++clients}`, {
    url,
    backoff: { min: 10, max: 50 },
    closeTimeout: 500,
    ...options,
  })
  t.teardown(() => client.terminate())
  return client
}
