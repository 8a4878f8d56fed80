// npm run build: TypeScript to dist/, from an empty folder so that nothing deleted lives on; then what has to start fast,
// the command line and the runtime of a worker, each packed into one file.
import { spawnSync } from 'node:child_process'
import { rmSync } from 'node:fs'
import { pack } from './pack.mjs'

rmSync('dist', { recursive: true, force: true })
const tsc = new URL('../node_modules/typescript/bin/tsc', import.meta.url).pathname
const { status } = spawnSync(process.execPath, [tsc, '-p', 'tsconfig.build.json'], { stdio: 'inherit' })
if (status !== 0) process.exit(status ?? 1)
pack('dist', 'cli/main.js', 'supervisor.cjs')
pack('dist', 'worker/preload.js', 'preload.cjs')
