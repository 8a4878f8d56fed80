// A real process that appends, killed with -9 again and again: what it had called accepted is there, in order and whole.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { cleanEnv } from '../../support/clean-children.js'
import { openIn, spoolFolder, takeAll } from '../../support/spools.js'

const ROUNDS = 6
const script = fileURLToPath(new URL('fixtures/append-until-killed.js', import.meta.url))

t.test(`nothing accepted is lost in ${ROUNDS} kills of one spool`, async (t) => {
  const folder = spoolFolder(t)
  let next = 1
  for (let round = 0; round < ROUNDS; round++) {
    const child = spawn(process.execPath, [script, folder, String(next)], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: cleanEnv(),
      timeout: 20_000,
      killSignal: 'SIGKILL',
    })
    let accepted = 0
    let lines = 0
    for await (const line of createInterface({ input: child.stdout })) {
      accepted = Number(line.slice(1))
      if (++lines === 20 + 17 * round) child.kill('SIGKILL')
    }
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
    t.equal(child.signalCode, 'SIGKILL')
    const spool = await openIn(folder, { limits: { maxMessages: 1_000_000, maxBytes: 2_000_000 } })
    const messages = await takeAll(spool, 1_000)
    const numbers = messages.map(({ id }) => Number(id.slice(1)))
    t.ok((numbers.at(-1) ?? 0) >= accepted, `round ${round}: ${accepted} accepted, ${numbers.at(-1)} there`)
    t.ok(
      numbers.every((number, index) => index === 0 || number === (numbers[index - 1] ?? 0) + 1),
      'without a gap',
    )
    t.ok(
      messages.every(({ id, body }) => body.equals(Buffer.alloc(300, id.slice(1)))),
      'as they were',
    )
    next = (numbers.at(-1) ?? 0) + 1
    // Room for the next round.
    for (const { seq } of messages) spool.settle(seq, { state: 'expired' })
    await spool.close()
  }
})
