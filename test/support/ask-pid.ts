// Asks fixtures that answer their pid, on a connection of its own each time.

import { get } from 'node:http'
import { text } from 'node:stream/consumers'

const PATIENCE = 5_000

/** The pid that answers; null when nobody does within 5 s. */
export const askPid = (port: number, path = '/'): Promise<number | null> =>
  new Promise((resolve) => {
    const request = get({ port, path, host: '127.0.0.1', agent: false }, async (response) =>
      resolve(Number(await text(response).catch(() => '')) || null),
    )
    request.setTimeout(PATIENCE, () => request.destroy()).on('error', () => resolve(null))
  })
