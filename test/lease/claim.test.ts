// A claim's place in the line, event by event. That nothing goes wrong in any order of what processes do is
// test/lease/explorer/.

import t from 'tap'
import {
  CLAIM_LIFECYCLE,
  type ClaimEvent,
  type ClaimPhase,
  type ClaimState,
  LeaseClaimCore,
  newClaimState,
} from '../../src/lease/claim.js'
import { transition } from '../../src/shared/state-machine.js'

const PHASES = Object.keys(CLAIM_LIFECYCLE) as ClaimPhase[]
const EVENTS: ClaimEvent[] = [
  { type: 'granted', grant: 2 },
  { type: 'revoked', grant: 1, why: 'wanted', budget: 5 },
  { type: 'machineHeld', epoch: 7 },
  { type: 'machineLost', why: 'gone' },
  { type: 'machineFree' },
  { type: 'fencePassed', isLate: false },
  { type: 'fencePassed', isLate: true },
  { type: 'fenceMoved' },
  { type: 'letGo', isSuperseded: false },
  { type: 'letGo', isSuperseded: true },
  { type: 'end' },
]
const HELD_PHASES: readonly ClaimPhase[] = ['held', 'fenced', 'closing', 'freeing']

const stateIn = (phase: ClaimPhase, change: Partial<ClaimState> = {}): ClaimState => ({
  ...newClaimState(),
  ...{ phase, grant: phase === 'waiting' || phase === 'ended' ? null : 1 },
  epoch: HELD_PHASES.includes(phase) ? 7 : null,
  ...change,
})

/** What comes of events, one after the other, in words. */
const played = (events: readonly ClaimEvent[], isFenced = false): string[] => {
  const core = new LeaseClaimCore()
  return events.flatMap((event) => core.handle(event, isFenced).map(({ type }) => type))
}

const taken: ClaimEvent[] = [
  { type: 'granted', grant: 1 },
  { type: 'machineHeld', epoch: 7 },
]

t.test('each pair of phases is a legal move or throws, as the table says', async (t) => {
  for (const from of PHASES)
    for (const to of PHASES) {
      const move = (): ClaimPhase => transition('lease claim', CLAIM_LIFECYCLE, from, to, 'test')
      if (CLAIM_LIFECYCLE[from].includes(to)) t.equal(move(), to)
      else t.throws(move, { code: 'FORKSAFE_ERR_ILLEGAL_TRANSITION' })
    }
})

t.test('every event is answered in every phase, and leads along the table or nowhere', async (t) => {
  for (const phase of PHASES)
    for (const event of EVENTS)
      for (const isFenced of [false, true])
        for (const isOnlyFenced of phase === 'closing' ? [false, true] : [false]) {
          const core = new LeaseClaimCore(stateIn(phase, { isOnlyFenced }))
          core.handle(event, isFenced)
          const { state } = core
          const isLegal =
            state.phase === phase ||
            CLAIM_LIFECYCLE[phase].includes(state.phase) ||
            CLAIM_LIFECYCLE[phase].some((between) => CLAIM_LIFECYCLE[between].includes(state.phase))
          t.ok(isLegal, `${phase}, ${JSON.stringify(event)} → ${state.phase}`)
          if (state.phase !== 'closing') t.notOk(state.isOnlyFenced, `${phase}, ${event.type}`)
        }
})

t.test('it is released only when the machine has it back', async (t) => {
  t.same(
    played([
      ...taken,
      { type: 'revoked', grant: 1, why: 'wanted', budget: 5 },
      { type: 'letGo', isSuperseded: false },
      { type: 'machineFree' },
    ]),
    ['takeMachine', 'mayUse', 'closeWithin', 'freeMachine', 'tellReleased'],
  )
})

t.test('a grant that is revoked while it is taken on the machine is never used', async (t) => {
  t.same(
    played([
      { type: 'granted', grant: 1 },
      { type: 'revoked', grant: 1, why: 'wanted', budget: 5 },
      { type: 'machineHeld', epoch: 7 },
      { type: 'machineFree' },
    ]),
    ['takeMachine', 'freeMachine', 'tellReleased'],
  )
})

t.test('what is taken while the primary does not answer is used once it does', async (t) => {
  const core = new LeaseClaimCore()
  t.same(core.handle({ type: 'granted', grant: 1 }, true), [{ type: 'takeMachine' }])
  t.same(core.handle({ type: 'machineHeld', epoch: 7 }, true), [])
  t.equal(core.state.phase, 'fenced')
  t.same(core.handle({ type: 'fenceMoved' }, false), [{ type: 'mayUse', epoch: 7 }])
})

t.test('a primary that answers while it is closed for the fence gives it back at once', async (t) => {
  t.same(played([...taken, { type: 'fencePassed', isLate: false }, { type: 'letGo', isSuperseded: false }]), [
    ...['takeMachine', 'mayUse', 'closeWithin', 'mayUse'],
  ])
})

t.test('after a fence the next revocation is obeyed', async (t) => {
  t.same(
    played([
      ...taken,
      { type: 'fencePassed', isLate: false },
      { type: 'letGo', isSuperseded: false },
      { type: 'revoked', grant: 1, why: 'wanted', budget: 5 },
      { type: 'letGo', isSuperseded: false },
      { type: 'machineFree' },
    ]).slice(-3),
    ['closeWithin', 'freeMachine', 'tellReleased'],
  )
})

t.test('a fence that is found out late destroys, and waits for the primary', async (t) => {
  const core = new LeaseClaimCore(stateIn('held'))
  t.match(core.handle({ type: 'fencePassed', isLate: true }, true), [{ type: 'destroy' }])
  t.equal(core.state.phase, 'fenced')
})

t.test('what was lost on the machine is destroyed, and released', async (t) => {
  t.same(played([...taken, { type: 'machineLost', why: 'taken' }, { type: 'machineFree' }]).slice(-3), [
    ...['destroy', 'freeMachine', 'tellReleased'],
  ])
})

t.test('an end is told as a withdrawal; a lost place at the upstream even then', async (t) => {
  t.same(played([{ type: 'end' }]), ['tellWithdrawn'])
  t.same(played([...taken, { type: 'end' }, { type: 'machineFree' }]).slice(-2), [
    'freeMachine',
    'tellWithdrawn',
  ])
  t.same(
    played([...taken, { type: 'letGo', isSuperseded: true }, { type: 'end' }, { type: 'machineFree' }]).slice(
      -2,
    ),
    ['tellReleased', 'tellWithdrawn'],
  )
})

t.test('a revocation of an earlier grant is ignored', async (t) => {
  t.same(played([...taken, { type: 'revoked', grant: 0, why: 'old', budget: 5 }]), ['takeMachine', 'mayUse'])
})
