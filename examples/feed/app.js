// An ordinary HTTP service with one upstream connection: what is posted to /feed goes on to the upstream.
// Run by the demo (npm start), and as it stands by `supervisor start examples/feed/app.js` or plain `node`.
//
//   UPSTREAM  ws:// or wss:// address of the upstream
//   PORT      of the HTTP server; default 8080
import { createServer } from 'node:http'
import { text } from 'node:stream/consumers'
import { guardedClient, worker } from 'forksafe'

const { UPSTREAM = 'ws://127.0.0.1:8081', PORT = '8080' } = process.env
const self = { worker: worker.slot, pid: process.pid, generation: worker.generation }

// Who we are travels in the query, so that the upstream can tell its connections apart.
const identity = new URLSearchParams({
  slot: String(self.worker),
  pid: String(self.pid),
  generation: String(self.generation),
})
const feed = guardedClient('feed', { url: `${UPSTREAM}/?${identity}` })
feed.connect().catch((error) => console.error(`feed: ${error.message}; it is tried again`))

const server = createServer(async (request, response) => {
  const path = request.url?.split('?', 1)[0]
  if (path !== '/feed') return answer(response, 404, { error: 'there is only /feed' })
  if (request.method === 'GET') return answer(response, 200, { ...self, state: feed.state })
  if (request.method !== 'POST') return answer(response, 405, { error: 'GET or POST' })
  try {
    const receipt = await feed.send(await text(request))
    answer(response, 200, { ...self, receipt })
  } catch (error) {
    const { code, message } = /** @type {import('forksafe').ForksafeError} */ (error)
    answer(response, 503, { ...self, error: { code, message } })
  }
})
server.listen(Number(PORT), '127.0.0.1')

/** @param {import('node:http').ServerResponse} response @param {number} status @param {object} body */
function answer(response, status, body) {
  response.writeHead(status, { 'content-type': 'application/json' }).end(`${JSON.stringify(body)}\n`)
}
