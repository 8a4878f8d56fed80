// Whether simulation and explorer see anything: each deliberate bug in mutations.ts is put into a copy of the built cores,
// which are then played, or explored, until something breaks: what is written there.

import { cpSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import t from 'tap'
import { explore } from '../explorer/explore.js'
import { treeWorld } from '../explorer/tree-world.js'
import type { Cores } from '../simulation/cores.js'
import { findViolation } from '../simulation/simulate.js'
import { MUTATIONS, type Mutation } from './mutations.js'

const SEED = 7
const MOST_SCHEDULES = 20_000
const built = join(import.meta.dirname, '../../../dist')
const ACTS = { nothing: [], 'a handover': ['hand over'] } as const

/** The built cores with that bug; below the repository, so that they find the packages that they import. */
const mutant = async (folder: string, mutation: Mutation | null): Promise<Cores> => {
  for (const part of ['lease', 'shared'])
    cpSync(join(built, part), join(folder, part), {
      recursive: true,
      filter: (path) => !/\.(map|d\.ts)$/.test(path),
    })
  if (mutation !== null) {
    const { file, find, replace } = mutation
    const path = join(folder, 'lease', file)
    const parts = readFileSync(path, 'utf8').split(find)
    if (parts.length !== 2) throw new Error(`${file} has ${parts.length - 1} times: ${find}`)
    writeFileSync(path, parts.join(replace))
  }
  const load = (file: string): Promise<Cores> => import(pathToFileURL(join(folder, 'lease', file)).href)
  const [{ LeaseArbiter }, { LeaseClaimCore }, { Fence }] = await Promise.all([
    load('arbiter.js'),
    load('claim.js'),
    load('fence.js'),
  ])
  return { LeaseArbiter, LeaseClaimCore, Fence }
}

/** @returns what is wrong when somebody who was granted it again is said to have let go of the first grant. */
const staleRelease = ({ LeaseArbiter }: Cores): string | null => {
  const arbiter = new LeaseArbiter()
  const of = { claimant: 1, claim: 1 }
  arbiter.handle({ type: 'joined', claimant: 1, generation: 1 }, 0)
  arbiter.handle({ type: 'claimed', ...of, lease: 'client feed' }, 0)
  for (let times = 0; times < 2; times++)
    arbiter.handle({ type: 'released', ...of, grant: 1, isSuperseded: false }, 0)
  return arbiter.state.lastGrant === 2 ? null : 'what is said of an earlier grant ends a later one'
}

// It waits for nothing: 20 s of one core, which others may want as well.
t.setTimeout(300_000)

t.test('the cores as they are built break nothing in these schedules', async (t) => {
  const cores = await mutant(t.testdir({}), null)
  t.equal(findViolation({ seed: SEED, rounds: 3_000 }, cores), null)
  t.equal(staleRelease(cores), null)
})

for (const mutation of MUTATIONS) {
  t.test(`caught: ${mutation.title}`, async (t) => {
    const cores = await mutant(t.testdir({}), mutation)
    const { foundBy } = mutation
    if (foundBy === 'a scenario') {
      t.not(staleRelease(cores), null)
      return
    }
    if ('simulation' in foundBy) {
      const found = findViolation({ seed: SEED, rounds: MOST_SCHEDULES }, cores)
      t.comment(`schedule ${found?.round}`)
      t.equal(found?.violations[0]?.rule ?? 'nothing', foundBy.simulation, found?.violations[0]?.what ?? '')
      return
    }
    const world = treeWorld({
      ...{ generations: [1, 2], acts: [...ACTS[foundBy.acts]], mostFaults: 1, cores },
      faults: ['kill', 'stop', 'cut', 'late', 'silent', 'refuse'],
    })
    const { finding, depth } = explore(world, { mostStates: 100_000 })
    t.comment(`by ${depth} steps`)
    t.match(finding?.what ?? 'nothing', foundBy.explorer)
    t.not(finding, null)
  })
}
