// npm run campaign -- NAME …: random rounds on real processes, for as long as one likes. It runs the built dist/.
// Everything is in test/campaign/, in TypeScript; this only loads it.
import { createJiti } from 'jiti'

process.chdir(new URL('..', import.meta.url).pathname)
// Commands that a round runs are not to write coverage: only the tests want it.
process.env._TAPJS_PROCESSINFO_COVERAGE_ = '0'

/** @type {{ main(args: string[]): Promise<number> }} */
const { main } = await createJiti(import.meta.url).import('../test/campaign/main.ts')
process.exitCode = await main(process.argv.slice(2))
