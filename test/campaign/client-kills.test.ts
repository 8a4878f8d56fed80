// A few rounds of client-kills, always the same ones, and that a client that does not tell the truth is found by them.

import { rmSync } from 'node:fs'
import t from 'tap'
import { uninstrumentChildren } from '../support/clean-children.js'
import { expectNothingLeftWhenEnded, expectNoViolation } from './campaign-in-a-test.js'
import type { Fault, SenderPlan } from './client-kills/plan.js'
import { clientKills, playPlan } from './client-kills/round.js'

uninstrumentChildren()

const SEED = 3
const ROUNDS = 3

t.test(`${ROUNDS} rounds of client-kills: everything that was said of a message is true`, (t) =>
  expectNoViolation(t, clientKills, { seed: SEED, rounds: ROUNDS, jobs: 2 }),
)

t.test('a client that calls received what was only written is found out', async (t) => {
  const losing: Fault = { type: 'stall', whose: 'all', ms: 400, ending: 'reset' }
  for (const onUnconfirmed of ['reject', 'resend'] as const) {
    const honest: SenderPlan = { onUnconfirmed, isBounded: false, whenFull: 'reject', seed: 1 }
    const { violations, folder, story } = await playPlan({
      senders: [honest, { ...honest, isBoasting: true }],
      steps: [{ at: 100, fault: losing }],
      endsAt: 'calm',
    })
    if (folder !== null) rmSync(folder, { recursive: true })
    t.match(violations, [/^sender 2: message \d+ was confirmed as received and never arrived$/])
    t.notMatch(violations.join('\n'), /sender 1/, story.join('\n'))
  }
})

t.test('a campaign that is ended in the middle of a round leaves no process of it', (t) =>
  expectNothingLeftWhenEnded(t, 'client-kills', ['ws-server.js', 'sending-client.js']),
)
