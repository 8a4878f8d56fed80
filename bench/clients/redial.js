// `ws` as it is, which closes and dials again and again: `redial.js URL COUNT [STAY]`, each connection open for STAY ms.
// What that takes is the least that any handover of a connection takes; the upstream notes it.
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { WebSocket } from 'ws'

const [, , url = '', count = '1', stay = '0'] = process.argv
for (let n = 0; n < Number(count); n++) {
  const socket = new WebSocket(url, { perMessageDeflate: false })
  await once(socket, 'open')
  if (stay !== '0') await sleep(Number(stay))
  socket.close(1000)
  await once(socket, 'close')
}
