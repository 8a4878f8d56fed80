// One look where nothing belongs nowhere, two where something does.

import t from 'tap'
import { BETWEEN_LOOKS, lookAndJudge } from '../../src/audit/audit-looks.js'
import { Slices } from '../../src/audit/slices.js'
import type { Snapshot } from '../../src/audit/socket-table.js'
import { connection, listener, look, members, PRIMARY, SIBLING, WORKER } from './audit-world.js'

const gather = async (...looks: Snapshot[]) => {
  const pauses: number[] = []
  let taken = 0
  const { findings } = await lookAndJudge(
    {
      look: async () => {
        const seen = looks[taken++]
        if (seen === undefined) throw new Error('one look too many')
        return seen
      },
      ask: async () => members(),
      more: async () => ({}),
      pause: async (ms) => void pauses.push(ms),
    },
    new Slices(),
  )
  return { findings, taken, pauses }
}

t.test('nothing to be seen is seen at once', async (t) => {
  const { taken, findings } = await gather(
    look({ [PRIMARY]: [listener(18, 8080)], [WORKER]: [connection(20)] }),
  )
  t.equal(taken, 1)
  t.same(findings, [])
})

t.test('what belongs nowhere is looked at again, and told if it is still there', async (t) => {
  const held = connection(22)
  const both = look({ [WORKER]: [held], [SIBLING]: [held] })
  const stays = await gather(both, both)
  t.equal(stays.taken, 2)
  t.match(stays.findings, [{ kind: 'sharedSocket' }])
  t.ok((stays.pauses[0] ?? 0) > 0 && (stays.pauses[0] ?? 0) <= BETWEEN_LOOKS)
  const passed = await gather(both, look({ [SIBLING]: [held] }))
  t.same(passed.findings, [])
})
