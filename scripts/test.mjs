// npm test [-- tap arguments]: runs tap, keeps its output short and ends with one line alone:
// `N passed, N failed, N skipped`. What the tests need beforehand is scripts/test-setup.mjs.
//
// Exits non-zero when anything failed, when nothing ran and when tap itself crashed. The counts come from tap's own
// report (.tap/out.tap), which also holds the full diagnostics of every failure.
import { spawn } from 'node:child_process'
import { mkdirSync, readFileSync, rmSync } from 'node:fs'

const REPORT = '.tap/out.tap'
const SIGNAL_EXIT = 128

mkdirSync('.tap', { recursive: true })
rmSync(REPORT, { force: true })

const tap = new URL('../node_modules/tap/dist/esm/run.mjs', import.meta.url).pathname
const runner = spawn(
  process.execPath,
  [tap, 'run', '--reporter=min', `--output-file=${REPORT}`, ...process.argv.slice(2)],
  { stdio: 'inherit' },
)
// Ctrl-C reaches tap too, through the terminal: let it tear its tests down, then report.
for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM']))
  process.on(signal, () => runner.kill(signal))

runner.on('close', (code, signal) => {
  const status = signal === null ? (code ?? 1) : SIGNAL_EXIT
  const { pass, fail, skip } = countsIn(REPORT)
  if (status !== 0 && fail === 0)
    console.log(`tap ended with ${signal ?? status} and no failed assertion: a crash?`)
  if (pass + fail === 0) console.log('no test ran')
  // tap's reporter ends with an escape code and no line break.
  console.log(`\n${pass} passed, ${fail} failed, ${skip} skipped`)
  process.exitCode = status || (pass === 0 || fail > 0 ? 1 : 0)
})

/** The totals in a TAP report: its last `# { total: …, pass: … }` line. @param {string} file */
function countsIn(file) {
  const counts = { pass: 0, fail: 0, skip: 0, todo: 0 }
  try {
    const summary = [...readFileSync(file, 'utf8').matchAll(/^# \{ (.*) \}$/gm)].at(-1)?.[1] ?? ''
    for (const [, key, value] of summary.matchAll(/(\w+): (\d+)/g)) {
      if (key !== undefined && key in counts) counts[/** @type {keyof typeof counts} */ (key)] = Number(value)
    }
  } catch {
    // No report: nothing ran, and the zeros say so.
  }
  return { pass: counts.pass, fail: counts.fail, skip: counts.skip + counts.todo }
}
