// What a socket is for the tree, and by which name its endpoint goes.

import t from 'tap'
import type { AuditFacts } from '../../src/audit/audit-facts.js'
import { auditedTree as stepsOfTree } from '../../src/audit/audited-tree.js'
import { countPort } from '../../src/audit/count-port.js'
import { showEndpoint } from '../../src/audit/socket-table.js'
import { atOnce } from '../../src/audit/steps.js'
import { connectionsByAddress } from '../../src/audit/tree-sockets.js'
import {
  accepted,
  connection,
  connections,
  facts,
  listener,
  look,
  member,
  members,
  origin,
  PRIMARY,
  SIBLING,
  unixSocket,
  WORKER,
} from './audit-world.js'

const auditedTree = (all: AuditFacts) => atOnce(stepsOfTree(all))

t.test('a socket listens, came in, goes out, or is none of these', async (t) => {
  const tree = auditedTree(
    facts({
      [PRIMARY]: [listener(18, 8080)],
      [WORKER]: [
        accepted(20, 8080),
        connection(21),
        unixSocket(3),
        connection(22, { kind: 'udp', state: 'bound', remote: null }),
      ],
    }),
  )
  t.same(
    tree.sockets.map(({ direction }) => direction),
    ['listening', 'accepted', 'outgoing', 'other', 'other'],
  )
  t.same(
    tree.sockets.map(({ endpoint }) => endpoint),
    [null, null, '10.0.0.7:443', null, null],
  )
})

t.test('what came in at a port counts as accepted after its listener has gone', async (t) => {
  const late = facts({ [WORKER]: [accepted(20, 8080)] }, { listenedPorts: new Set([8080]) })
  t.equal(auditedTree(late).sockets[0]?.direction, 'accepted')
})

t.test('who says that it dialled a socket is believed, whatever listens at its local port', async (t) => {
  const held = connection(20, { local: { address: '10.0.0.1', port: 8080 } })
  const tree = members(member(WORKER, 'worker', [origin([held])]))
  const all = facts({ [PRIMARY]: [listener(18, 8080)], [WORKER]: [held] }, { members: tree })
  t.match(auditedTree(all).sockets[1], {
    direction: 'outgoing',
    endpoint: 'api.example.com:443',
    ageMs: 5_000,
  })
})

t.test('an origin of another port at the same local port is of a socket before', async (t) => {
  const held = connection(20)
  const tree = members(member(WORKER, 'worker', [origin([held], { port: 80 })]))
  t.match(auditedTree(facts({ [WORKER]: [held] }, { members: tree })).sockets[0], {
    origin: null,
    endpoint: '10.0.0.7:443',
  })
})

t.test('a name that one worker dialled is the name of the address for all', async (t) => {
  const held = connection(20)
  const tree = members(member(WORKER, 'worker', [origin([held])]))
  const all = facts({ [WORKER]: [held], [SIBLING]: [connection(20)] }, { members: tree })
  t.same(
    auditedTree(all).sockets.map(({ endpoint }) => endpoint),
    ['api.example.com:443', 'api.example.com:443'],
  )
})

t.test('an IPv6 endpoint stands in brackets', async (t) => {
  t.equal(showEndpoint({ address: '::1', port: 443 }), '[::1]:443')
  t.equal(showEndpoint({ address: '127.0.0.1', port: 443 }), '127.0.0.1:443')
})

t.test('a port is counted at either end, and for each descriptor', async (t) => {
  const shared = connection(22)
  const seen = look({
    [PRIMARY]: [listener(18, 8080)],
    [WORKER]: [accepted(20, 8080), shared],
    [SIBLING]: [shared, unixSocket(3)],
  })
  t.equal(countPort(seen, 8080), 2)
  t.equal(countPort(seen, 443), 2)
  t.equal(countPort(seen, 1), 0)
})

t.test('a history counts what goes out, each socket once', async (t) => {
  const shared = connection(22)
  const seen = look({
    [PRIMARY]: [listener(18, 8080)],
    [WORKER]: [...connections(3), shared, accepted(40, 8080), connection(50, { state: 'fin-wait-2' })],
    [SIBLING]: [shared, connection(51, { state: 'close-wait' })],
  })
  t.same(
    [...connectionsByAddress(seen, new Set())],
    [['10.0.0.7:443', 6]],
    'also one that is ended from here alone',
  )
})
