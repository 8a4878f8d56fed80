// Decisions of the arbiter, event by event. That nothing goes wrong in any order of what processes do is
// test/lease/explorer/ and test/lease/simulation/.

import t from 'tap'
import { LeaseArbiter } from '../../src/lease/arbiter.js'
import type { ArbiterEvent } from '../../src/lease/arbiter-events.js'
import { OVERDUE, REVOKE_BUDGET, REVOKE_GRACE } from '../../src/lease/timing.js'

const FEED = 'client feed'

/** An arbiter with a clock, whose effects are told in words. */
class Desk {
  readonly arbiter = new LeaseArbiter()
  now = 0

  does(event: ArbiterEvent): string[] {
    return this.arbiter.handle(event, this.now).flatMap((effect) => {
      switch (effect.type) {
        case 'grant':
          return [`grant ${effect.grant} to ${effect.claimant}`]
        case 'revoke':
          return [`revoke ${effect.grant} of ${effect.claimant}`]
        case 'kill':
          return [`kill ${effect.claimant}`]
        case 'tried':
          return [`tried ${effect.claimant}: ${effect.failure ?? 'fine'}`]
        case 'handedOver':
          return [`handed over ${effect.request}: ${effect.failure ?? 'fine'}`]
        default:
          return []
      }
    })
  }

  /** Workers in line for the feed. */
  joined(claimant: number, generation: number, isProved = false): string[] {
    this.does({ type: 'joined', claimant, generation })
    if (isProved) this.does({ type: 'proved', claimant })
    return this.does({ type: 'claimed', claimant, claim: 1, lease: FEED })
  }

  opened(claimant: number, grant: number): string[] {
    return this.does({ type: 'opened', claimant, claim: 1, grant })
  }

  released(claimant: number, grant: number): string[] {
    return this.does({ type: 'released', claimant, claim: 1, grant, isSuperseded: false })
  }

  /** Looks at the time whenever that is due. */
  wait(ms: number): string[] {
    const until = this.now + ms
    const told: string[] = []
    for (
      let next = this.arbiter.nextDeadline();
      next !== null && next <= until;
      next = this.arbiter.nextDeadline()
    ) {
      this.now = next
      told.push(...this.does({ type: 'tick' }))
    }
    this.now = until
    return told
  }

  beat(claimant: number): void {
    this.does({ type: 'renewed', claimant })
  }

  get move(): string | null {
    return this.arbiter.state.leases[FEED]?.move?.phase ?? null
  }
}

/** An old worker has it open, a new one stands by. */
const twoReleases = (): Desk => {
  const desk = new Desk()
  t.same(desk.joined(1, 1, true), ['grant 1 to 1'])
  desk.opened(1, 1)
  t.same(desk.joined(2, 2), [])
  return desk
}

t.test('a handover: revoked, released, granted, open, answered', async (t) => {
  const desk = twoReleases()
  t.same(desk.does({ type: 'handOver', request: 9, lease: FEED, to: 2 }), ['revoke 1 of 1'])
  t.same(desk.released(1, 1), ['grant 2 to 2'])
  t.same(desk.opened(2, 2), ['handed over 9: fine'])
  t.equal(desk.move, null)
})

t.test('a handover that nobody can take, or that is under way, is refused', async (t) => {
  const desk = twoReleases()
  const handOver = (request: number, to: number | null, lease = FEED): string[] =>
    desk.does({ type: 'handOver', request, lease, to })
  t.match(handOver(1, 3), [/no worker stands by/])
  t.same(handOver(2, 1), ['handed over 2: fine'], 'it has it')
  t.match(handOver(3, 2, 'client other'), [/nobody claims it/])
  handOver(4, null)
  t.match(handOver(5, 2), [/handed over already/])
})

t.test('a trial that passes stays where it is', async (t) => {
  const desk = twoReleases()
  t.same(desk.does({ type: 'tryOut', claimant: 2 }), ['revoke 1 of 1'])
  t.same(desk.released(1, 1), ['grant 2 to 2'])
  t.same(desk.opened(2, 2), ['tried 2: fine'])
  t.equal(desk.move, 'watched')
  t.same(desk.does({ type: 'keep', claimant: 2 }), [])
  t.equal(desk.move, null)
})

t.test('a trial that fails goes back to the old release, and is granted nothing more', async (t) => {
  const desk = twoReleases()
  desk.does({ type: 'tryOut', claimant: 2 })
  desk.released(1, 1)
  t.same(desk.does({ type: 'failed', claimant: 2, claim: 1, grant: 2, why: 'refused' }), [
    ...['revoke 2 of 2', 'tried 2: client feed: refused'],
  ])
  t.same(desk.released(2, 2), ['grant 3 to 1'])
  t.equal(desk.move, null)
  t.same(desk.does({ type: 'exited', claimant: 1 }), [], 'not even when nobody else is there')
})

t.test('what reaches a worker after it was kept is not watched for ever', async (t) => {
  const desk = twoReleases()
  desk.does({ type: 'tryOut', claimant: 2 })
  desk.does({ type: 'keep', claimant: 2 })
  desk.released(1, 1)
  t.same(desk.opened(2, 2), [])
  t.equal(desk.move, null)
})

t.test('who gives back before anything was open is told so once', async (t) => {
  const desk = twoReleases()
  desk.does({ type: 'tryOut', claimant: 2 })
  t.same(desk.does({ type: 'giveBack', claimant: 2, why: 'not wanted' }), ['tried 2: not wanted'])
  t.same(desk.released(1, 1), ['grant 2 to 1'])
})

t.test('a silent holder is killed, and the next one is granted when its end was seen', async (t) => {
  const desk = twoReleases()
  t.same(desk.wait(OVERDUE - 1), [])
  t.same(desk.wait(1), ['kill 1'])
  t.same(desk.wait(60_000), [], 'however long that takes')
  t.same(desk.does({ type: 'exited', claimant: 1 }), ['grant 2 to 2'])
})

t.test('a holder that is heard of but does not let go is killed', async (t) => {
  const desk = twoReleases()
  desk.does({ type: 'handOver', request: 1, lease: FEED, to: 2 })
  for (let s = 1; s < (REVOKE_BUDGET + REVOKE_GRACE) / 1_000; s++) {
    t.same(desk.wait(1_000), [])
    desk.beat(1)
  }
  t.same(desk.wait(1_000), ['kill 1'])
  t.equal(desk.arbiter.nextDeadline(), null, 'there is nothing more to look for')
})

t.test('a primary that slept blames nobody, whatever it reads first', async (t) => {
  for (const first of [{ type: 'tick' }, { type: 'proved', claimant: 2 }] satisfies ArbiterEvent[]) {
    const desk = twoReleases()
    desk.now = OVERDUE + 400
    t.same(desk.does(first), [])
    t.same(desk.does({ type: 'tick' }), [])
    t.same(desk.wait(OVERDUE - 1), [])
    t.same(desk.wait(1), ['kill 1'])
  }
})

t.test('the newest release is granted, but whoever has proved itself first', async (t) => {
  const desk = new Desk()
  desk.joined(1, 1, true)
  desk.joined(2, 2, true)
  desk.joined(3, 3)
  t.same(desk.does({ type: 'exited', claimant: 1 }), ['grant 2 to 2'])
  t.same(desk.does({ type: 'exited', claimant: 2 }), ['grant 3 to 3'])
})

t.test(
  'who leaves is granted it only with something to deliver, and when nobody else is there',
  async (t) => {
    const desk = twoReleases()
    desk.does({ type: 'leaving', claimant: 2 })
    t.same(desk.does({ type: 'exited', claimant: 1 }), [])
    t.same(desk.does({ type: 'needed', claimant: 2, claim: 1 }), ['grant 2 to 2'])
  },
)

t.test('a place that another session took is left to it until somebody insists', async (t) => {
  const desk = twoReleases()
  desk.does({ type: 'handOver', request: 1, lease: FEED, to: 2 })
  t.match(desk.does({ type: 'released', claimant: 1, claim: 1, grant: 1, isSuperseded: true }), [
    /handed over 1: another session/,
  ])
  t.same(desk.does({ type: 'insisted', claimant: 1, claim: 1 }), ['grant 2 to 1'])
})

t.test('what somebody outside holds says nothing about the new release', async (t) => {
  const desk = twoReleases()
  desk.does({ type: 'tryOut', claimant: 2 })
  desk.released(1, 1)
  t.same(desk.does({ type: 'blocked', claimant: 2, claim: 1, grant: 2 }), ['tried 2: fine'])
})

t.test('news of claimants, claims and leases that are not there is ignored', async (t) => {
  const desk = twoReleases()
  const before = structuredClone(desk.arbiter.state)
  const of = { claimant: 7, claim: 7 }
  for (const event of [
    ...(['proved', 'leaving', 'renewed', 'exited'] as const).map((type) => ({ type, claimant: 7 })),
    { type: 'claimed', ...of, lease: FEED },
    ...(['insisted', 'needed', 'withdrawn'] as const).map((type) => ({ type, ...of })),
    { type: 'released', ...of, grant: 7, isSuperseded: true },
    { type: 'opened', ...of, grant: 7 },
    { type: 'failed', ...of, grant: 7, why: '' },
    { type: 'blocked', ...of, grant: 7 },
    { type: 'keep', claimant: 7 },
    { type: 'giveBack', claimant: 7, why: '' },
    { type: 'tryOut', claimant: 7 },
    { type: 'tick' },
  ] satisfies ArbiterEvent[])
    t.same(desk.does(event), [], event.type)
  t.same(desk.arbiter.state, before)
})
