// Whether the judges of the simulation see anything: each deliberate bug in mutations.ts is put into a copy of the built
// client, and the schedules of one seed are played until a promise breaks, which must be the one that is written there.

import { cpSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import t from 'tap'
import { drawPlan } from '../simulation/plan.js'
import { type ClientClass, playSchedule } from '../simulation/play-schedule.js'
import { findViolation, keepWarningsQuiet } from '../simulation/simulate.js'
import { MUTATIONS, type Mutation } from './mutations.js'

const SEED = 7
const MOST_SCHEDULES = 2_000
const built = join(import.meta.dirname, '../../../dist')

/** The class of a built client with that bug; below the repository, so that it finds the packages that it imports. */
const mutant = async (folder: string, { file, find, replace }: Mutation): Promise<ClientClass> => {
  for (const part of ['client', 'shared'])
    cpSync(join(built, part), join(folder, part), {
      recursive: true,
      filter: (path) => !/\.(map|d\.ts)$/.test(path),
    })
  const path = join(folder, 'client', file)
  const parts = readFileSync(path, 'utf8').split(find)
  if (parts.length !== 2) throw new Error(`${file} has ${parts.length - 1} times: ${find}`)
  writeFileSync(path, parts.join(replace))
  const module: { GuardedClient: ClientClass } = await import(
    pathToFileURL(join(folder, 'client/guarded-client.js')).href
  )
  return module.GuardedClient
}

// It waits for nothing: 20 s of one core, which others may want as well.
t.setTimeout(300_000)

t.test('the client as it is built breaks no promise in these schedules', async (t) => {
  t.teardown(keepWarningsQuiet())
  const module: { GuardedClient: ClientClass } = await import(
    pathToFileURL(join(built, 'client/guarded-client.js')).href
  )
  t.equal(await findViolation(module.GuardedClient, { seed: SEED, rounds: 1_000 }), null)
})

for (const mutation of MUTATIONS) {
  t.test(`caught: ${mutation.title}`, async (t) => {
    t.teardown(keepWarningsQuiet())
    const Client = await mutant(t.testdir({}), mutation)
    const { shownBy } = mutation
    const found =
      shownBy === undefined
        ? await findViolation(Client, { seed: SEED, rounds: MOST_SCHEDULES })
        : await playSchedule(Client, drawPlan(shownBy))
    const [first] = found?.violations ?? []
    t.equal(first?.rule ?? 'nothing', mutation.breaks, first?.what ?? '')
  })
}
