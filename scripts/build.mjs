// npm run build: TypeScript to dist/, from an empty folder so that nothing deleted lives on.
import { spawnSync } from 'node:child_process'
import { rmSync } from 'node:fs'

rmSync('dist', { recursive: true, force: true })
const tsc = new URL('../node_modules/typescript/bin/tsc', import.meta.url).pathname
process.exit(
  spawnSync(process.execPath, [tsc, '-p', 'tsconfig.build.json'], { stdio: 'inherit' }).status ?? 1,
)
