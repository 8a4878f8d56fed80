// A few rounds of client-kills, always the same ones, and that a client that does not tell the truth is found by them.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { rmSync } from 'node:fs'
import t from 'tap'
import { cleanEnv, uninstrumentChildren } from '../support/clean-children.js'
import { eventually } from '../support/deadline.js'
import { descendantsOf, stillAlive } from '../support/process-tree.js'
import { newState } from './campaign-state.js'
import type { Fault, SenderPlan } from './client-kills/plan.js'
import { clientKills, playPlan } from './client-kills/round.js'
import { runCampaign } from './run-campaign.js'

uninstrumentChildren()

const SEED = 3
const ROUNDS = 3

t.test(`${ROUNDS} rounds of client-kills: everything that was said of a message is true`, async (t) => {
  const said: string[] = []
  const { findings } = await runCampaign({
    campaign: clientKills,
    state: newState('client-kills', SEED, ROUNDS),
    jobs: 2,
    say: (line) => said.push(line),
    onRoundDone: () => {},
  })
  t.same(findings, [], said.join('\n'))
  t.equal(said.at(-1), `client-kills: ${ROUNDS} rounds, 0 violations, seed ${SEED}`)
})

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

t.test('a campaign that is ended in the middle of a round leaves no process of it', async (t) => {
  const args = ['scripts/campaign.mjs', 'client-kills', '--rounds', '100', '--seed', '1']
  const state = `${t.testdir({})}/state.json`
  const campaign = spawn(process.execPath, [...args, '--state', state], { env: cleanEnv(), stdio: 'ignore' })
  t.teardown(() => campaign.kill('SIGKILL'))
  const exited = once(campaign, 'exit')
  const rows = await eventually(
    () => descendantsOf(campaign.pid ?? 0),
    (found) =>
      ['ws-server.js', 'sending-client.js'].every((of) => found.some(({ command }) => command.includes(of))),
    { what: 'server and senders of a round', timeout: 30_000 },
  )
  campaign.kill('SIGTERM')
  t.same(await exited, [143, null])
  await eventually(
    () => stillAlive(rows),
    (alive) => alive.length === 0,
    { what: 'all processes of the round to be gone' },
  )
})
