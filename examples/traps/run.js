// node examples/traps/run.js NAME: plays a trap, then the same thing done with ours, and prints what the upstream counted.
// Without a NAME all of them. README.md says what to see.
import { commandOf, play } from './play.js'
import { SCENES } from './scenes.js'

const stop = new AbortController()
for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP']))
  process.once(signal, () => stop.abort(new Error(`ended by ${signal}`)))

const names = process.argv.length > 2 ? process.argv.slice(2) : Object.keys(SCENES)
try {
  for (const name of names) await show(name)
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
}

/** @param {string} name */
async function show(name) {
  console.log(SCENES[name]?.title ?? name)
  /** @type {Record<string, object>} */
  const counts = {}
  for (const version of /** @type {const} */ (['trap', 'ours'])) {
    console.log(`  node ${commandOf(name, version).join(' ')}`)
    const counted = await play(name, version, { signal: stop.signal })
    counts[`${version}.js`] = Object.fromEntries(Object.entries(counted).filter(([, n]) => n !== null))
  }
  console.table(counts)
}
