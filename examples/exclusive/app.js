// A service of any number of workers with one upstream connection in all: whichever worker is asked, what is posted to
// /say goes out over it. And a clock that ticks in one of them. docs/exclusive.md explains it.
//
//   node examples/exclusive/upstream.js
//   npx supervisor start examples/exclusive/app.js -i 4
//
//   UPSTREAM  ws:// or wss:// address of the upstream
//   PORT      of the HTTP server; default 8080
import { createServer } from 'node:http'
import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { exclusive, guardedClient, worker } from 'forksafe'

const { UPSTREAM = 'ws://127.0.0.1:8081', PORT = '8080' } = process.env
const self = { worker: worker.slot, pid: process.pid }

const bot = guardedClient('bot', {
  // Who we are, so that the upstream can tell, and which of all holders: it may refuse one that is not the latest.
  url: ({ fencingToken }) => `${UPSTREAM}/?slot=${self.worker}&pid=${self.pid}&token=${fencingToken}`,
  exclusive: true,
  identity: 'example bot', // what there is one of: an account, a session, a till
  onUnconfirmed: 'resend',
})
bot.on('acquired', ({ fencingToken }) => console.log(`has the bot, token ${fencingToken}`))
bot.on('released', ({ reason }) => console.log(`gave the bot away: ${reason}`))
bot.connect().catch((error) => console.error(`bot: ${error.message}; it is tried again`))

exclusive('example clock', async ({ signal }) => {
  console.log('has the clock')
  while (!signal.aborted) {
    await sleep(60_000, undefined, { signal }).catch(() => {})
    if (!signal.aborted)
      await bot.send(`tick of worker ${self.worker}`, { timeout: '10s' }).catch(console.error)
  }
}).catch((error) => {
  // A worker that leaves before its turn has come is no failure.
  if (error.code !== 'FORKSAFE_ERR_LEASE_CLOSED') throw error
})

const server = createServer(async (request, response) => {
  if (request.method !== 'POST' || request.url !== '/say')
    return answer(response, 404, { error: 'POST /say is all there is' })
  try {
    answer(response, 200, { ...self, receipt: await bot.send(await text(request), { timeout: '10s' }) })
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
