// The order in which targets are measured: A B C A B C ..., so that a busy moment of the machine does not fall on one of
// them alone. The first round warms up files and caches and is thrown away.
import { availableParallelism, loadavg } from 'node:os'
import { parseArgs } from 'node:util'

const MOST = 10_000_000

/** `--try`: one short round without a warm-up and without pm2, to see that a measure works. Its figures mean nothing. */
export const isTry = process.argv.includes('--try')

/**
 * Whole numbers of the command line, such as `--rounds 5`.
 *
 * @template {string} Name
 * @param {Record<Name, number>} defaults @param {Partial<Record<Name, number>>} [tries] The defaults of `--try`.
 * @returns {Record<Name, number>}
 */
export function numbersAsked(defaults, tries = {}) {
  const given = isTry ? { ...defaults, rounds: 1, ...tries } : { ...defaults }
  const names = /** @type {Name[]} */ (Object.keys(defaults))
  /** @type {import('node:util').ParseArgsConfig['options']} */
  const options = { try: { type: 'boolean' } }
  for (const name of names) options[name] = { type: 'string' }
  try {
    const { values } = parseArgs({ options })
    for (const name of names) given[name] = wholeNumber(name, String(values[name] ?? given[name]))
  } catch (error) {
    console.error(error instanceof Error ? error.message : error)
    process.exit(2)
  }
  return given
}

/** @param {string} name @param {string} text */
function wholeNumber(name, text) {
  const number = Number(text)
  if (Number.isInteger(number) && number >= 1 && number <= MOST) return number
  throw new Error(`--${name}: "${text}" is not allowed; use a whole number from 1 to ${MOST}`)
}

/** The heading of what is printed; a load above the number of cores says that the figures are of a busy machine. @param {string} title @param {number} rounds */
export function printTitle(title, rounds) {
  const times = rounds === 1 ? '1 round' : `${rounds} rounds`
  const load = loadavg()[0]?.toFixed(1)
  console.log(
    `## ${title}\n\nnode ${process.version}, ${availableParallelism()} cores, load average ${load} before, ${times}`,
  )
}

/**
 * Measures each target once a round.
 *
 * @template Target, Result
 * @param {{ rounds: number, targets: readonly Target[], measure: (target: Target) => Promise<Result> }} options
 * @returns {Promise<Map<Target, Result[]>>} By target, a result a round.
 */
export async function measureInRounds({ rounds, targets, measure }) {
  /** @type {Map<Target, Result[]>} */
  const results = new Map(targets.map((target) => [target, []]))
  for (let round = isTry ? 1 : 0; round <= rounds; round++) {
    for (const target of targets) {
      const result = await measure(target)
      if (round > 0) results.get(target)?.push(result)
    }
  }
  return results
}
