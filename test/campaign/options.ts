// The command line of `npm run campaign`, read and checked.

import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'

export interface CampaignOptions {
  name: string
  /** Null when none was given: as many as the campaign has. */
  rounds: number | null
  /** Null when none was given: a new one, or that of the state that is resumed. */
  seed: number | null
  /** Only this round is played. */
  round: number | null
  jobs: number
  /** The file that remembers which rounds are done. */
  state: string
  resume: boolean
}

export const USAGE =
  'npm run campaign -- NAME [--rounds N] [--seed S] [--round K] [--jobs J] [--state FILE] [--resume]'

const MOST = { rounds: 1_000_000, seed: 2 ** 32 - 1, jobs: 16 }

/** @throws Error with one line that names the option, its value and the remedy. */
export const readCampaignOptions = (args: readonly string[], names: readonly string[]): CampaignOptions => {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      rounds: { type: 'string' },
      seed: { type: 'string' },
      round: { type: 'string' },
      jobs: { type: 'string' },
      state: { type: 'string' },
      resume: { type: 'boolean', default: false },
    },
  })
  const [name = '', ...more] = positionals
  if (!names.includes(name) || more.length > 0)
    throw new Error(`campaign "${positionals.join(' ')}" is unknown; there is ${names.join(', ')}: ${USAGE}`)
  const { resume } = values
  if (resume && (values.seed !== undefined || values.round !== undefined))
    throw new Error('--resume goes on with the seed of its state; leave out --seed and --round')
  if (values.round !== undefined && values.seed === undefined)
    throw new Error('--round is a round of a seed; add --seed S')
  return {
    name,
    rounds: number('rounds', values.rounds, 1, MOST.rounds),
    seed: number('seed', values.seed, 0, MOST.seed),
    round: number('round', values.round, 0, MOST.rounds),
    jobs: number('jobs', values.jobs, 1, MOST.jobs) ?? 1,
    state: values.state ?? join(tmpdir(), `forksafe-campaign-${name}.json`),
    resume,
  }
}

const number = (option: string, text: string | undefined, min: number, max: number): number | null => {
  if (text === undefined) return null
  const value = /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN
  if (!(value >= min && value <= max))
    throw new Error(`--${option}: "${text}" is not a whole number from ${min} to ${max}; write one`)
  return value
}
