// One request, answered whole or rejected.

import { type Agent, request } from 'node:http'

/** A request without an answer for this long is lost. */
const LOST_AFTER = 8_000

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
