// What a process remembers of sockets that it was handed, told by messages as Node sends them.

import type { EventEmitter } from 'node:events'
import t from 'tap'
import { PassedSockets } from '../../src/worker/passed-sockets.js'
import { matchEach } from '../support/match-each.js'

const emitter: EventEmitter = process
const before = emitter.listeners('internalMessage')
const passed = new PassedSockets()
// Only the new listener is told: Node's own takes such messages seriously.
const [listener = () => {}] = emitter.listeners('internalMessage').filter((each) => !before.includes(each))
emitter.off('internalMessage', listener as () => void)
const tell = (message: unknown, handle: unknown): unknown =>
  Reflect.apply(listener, process, [message, handle])

interface Address {
  address?: string
  port?: number
}

const hand = (
  localPort: number,
  address: string,
  port: number,
  message = { cmd: 'NODE_HANDLE', type: 'net.Socket' },
) =>
  tell(message, {
    getsockname: (into: Address) => Object.assign(into, { address: '10.0.0.1', port: localPort }) && 0,
    getpeername: (into: Address) => Object.assign(into, { address, port }) && 0,
  })

t.test('a socket of the application is remembered with both ends', async (t) => {
  hand(40_001, '::ffff:10.0.0.7', 443)
  hand(40_002, '10.0.0.7', 443)
  matchEach(t, passed.report(), [
    {
      host: '10.0.0.7',
      port: 443,
      passed: true,
      opened: 2,
      open: [{ localPort: 40_001 }, { localPort: 40_002 }],
    },
  ])
})

t.test('what the cluster hands over, and what is no socket any more, is not', async (t) => {
  const count = passed.report().length
  hand(40_003, '10.0.0.8', 443, { cmd: 'NODE_HANDLE', type: 'net.Native' })
  tell({ cmd: 'NODE_HANDLE', type: 'net.Socket' }, undefined)
  tell({ cmd: 'NODE_HANDLE', type: 'net.Socket' }, { getsockname: () => -9 })
  t.equal(passed.report().length, count)
})

t.test('clients of one listener (sticky sessions) crowd nothing out', async (t) => {
  const before = passed.report()
  for (let client = 0; client < 500; client++) hand(8_080, '10.9.9.9', 50_000 + client)
  matchEach(
    t,
    passed.report().map(({ host, opened }) => ({ host, opened })),
    before.map(({ host, opened }) => ({ host, opened })),
  )
})

t.test('of many the last ones are kept', async (t) => {
  for (let n = 0; n < 200; n++) hand(41_000 + n, `10.1.0.${n}`, 443)
  const groups = passed.report()
  t.equal(groups.length, 50)
  t.equal(groups.at(-1)?.host, '10.1.0.199')
})
