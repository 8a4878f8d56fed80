// How an exclusive client stands with its lease: every pair of stances, and what is said of a lease that is let go of.

import t from 'tap'
import { LEASE_STANCES, LeaseStance } from '../../src/client/lease-stance.js'
import { transition } from '../../src/shared/state-machine.js'

t.test('every move is in the table, or throws', async (t) => {
  const names = Object.keys(LEASE_STANCES) as (keyof typeof LEASE_STANCES)[]
  for (const from of names) {
    for (const to of names) {
      const move = (): string => transition('lease of a client', LEASE_STANCES, from, to, 'test')
      if (LEASE_STANCES[from].includes(to)) t.equal(move(), to)
      else t.throws(move, { code: 'FORKSAFE_ERR_ILLEGAL_TRANSITION' }, `${from} to ${to}`)
    }
  }
})

t.test('a lease that goes to others, and comes back before the socket is gone', async (t) => {
  const lease = new LeaseStance()
  t.ok(lease.claim())
  t.notOk(lease.claim(), 'it stands in line once')
  t.ok(lease.grant())
  lease.leave()
  t.ok(lease.isHeld && lease.isLeavingForOthers, 'it is held until the socket is gone')
  t.ok(lease.grant(), 'granted again meanwhile')
  t.ok(lease.isHeld && lease.isRegained)
  lease.keep()
  t.ok(lease.isHeld && !lease.isRegained)
})

t.test('a lease that is given up is not granted again', async (t) => {
  const lease = new LeaseStance()
  lease.claim()
  lease.grant()
  lease.leave()
  lease.leave({ isFinal: true, isSuperseded: true })
  lease.leave()
  t.notOk(lease.grant(), 'it is not wanted any more')
  t.same(
    lease.letGo(false),
    { isFinal: true, isSuperseded: true },
    'what was said first of leaving for good holds',
  )
  t.notOk(lease.isClaimed)
})

t.test('a lease that is let go of for others stands in line again, unless it is not wanted', async (t) => {
  for (const isUnwanted of [false, true]) {
    const lease = new LeaseStance()
    lease.claim()
    lease.grant()
    lease.leave()
    t.equal(lease.letGo(isUnwanted).isFinal, isUnwanted)
    t.equal(lease.isClaimed, !isUnwanted)
  }
})
