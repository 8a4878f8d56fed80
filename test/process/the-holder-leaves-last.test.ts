// Where everybody leaves, the worker that holds an exclusive connection is the last to close it: what the others have
// still to send goes over it, and the upstream sees one connection to the end.

import t from 'tap'
import { uninstrumentChildren } from '../support/clean-children.js'
import { recordingUpstream } from '../support/recording-upstream.js'
import { startSupervisor } from '../support/supervisor-process.js'

uninstrumentChildren()

const WORKERS = 3
const LAST_WORDS = 20

t.test('a stop, while every worker still sends on its way out', async (t) => {
  const upstream = await recordingUpstream(t)
  const app = startSupervisor(t, {
    args: ['test/process/fixtures/says-goodbye-exclusively.js', '-i', String(WORKERS)],
    env: { UPSTREAM: upstream.url, LAST_WORDS: String(LAST_WORDS) },
  })
  await app.waitUntilReady()
  await upstream.waitFor(({ open }) => open.length === 1, { what: 'the connection to be open' })
  const { code } = await app.cli('stop')
  t.equal(code, 0)
  const said = app.lines.filter((line) => line.includes('said goodbye'))
  t.equal(said.length, WORKERS, `every worker could say goodbye:\n${app.lastLines()}`)
  t.equal(upstream.upgraded.length, 1, 'over one connection')
  t.equal(upstream.upgraded[0]?.messages, WORKERS * LAST_WORDS, 'with everything that they had to say')
  t.equal(upstream.upgraded[0]?.code, 1001, 'which ended with a Close frame')
})
