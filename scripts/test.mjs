// npm test [-- tap arguments]: runs tap, prints what failed and what was skipped, and ends with one line alone:
// `N passed, N failed, N skipped`. What the tests need beforehand is scripts/test-setup.mjs.
//
// Exits non-zero when anything failed, when nothing ran and when tap itself crashed. tap's own reporters print nothing
// in CI, or pages; so this reads its TAP, whose whole text stays in .tap/out.tap.
import { spawn } from 'node:child_process'
import { createWriteStream, mkdirSync } from 'node:fs'
import { createInterface } from 'node:readline'

const REPORT = '.tap/out.tap'
const SIGNAL_EXIT = 128
const MOST_DIAGNOSTIC_LINES = 40
/** Of a diagnosis: where tap thinks the source is, and how it ran the file. */
const NOT_SHOWN =
  /^(source|stdio|cwd|externalID|command|args|jobId|typeName|functionName|isToplevel|expired)\b/

mkdirSync('.tap', { recursive: true })
const report = createWriteStream(REPORT)
const tap = new URL('../node_modules/tap/dist/esm/run.mjs', import.meta.url).pathname
const runner = spawn(process.execPath, [tap, 'run', '--reporter=tap', ...process.argv.slice(2)], {
  stdio: ['inherit', 'pipe', 'inherit'],
})
// Ctrl-C reaches tap too, through the terminal: let it tear its tests down, then report.
for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM']))
  process.on(signal, () => runner.kill(signal))

const counts = { pass: 0, fail: 0, skip: 0, todo: 0 }
/** Names of the subtests that are open, outermost (the file) first. @type {string[]} */
let path = []
let failures = 0
/** @typedef {{ indent: number, lines: string[], isHidden: boolean }} Diagnosis  What follows a result between --- and ... */
/** The one that is being read. @type {Diagnosis | null} */
let diagnosis = null
let isFailure = false

const lines = createInterface({ input: runner.stdout })
lines.on('line', (line) => {
  report.write(`${line}\n`)
  read(line)
})
const allRead = new Promise((resolve) => lines.once('close', resolve))

runner.on('close', async (code, signal) => {
  await allRead
  report.end()
  const status = signal === null ? (code ?? 1) : SIGNAL_EXIT
  if (status !== 0 && counts.fail === 0) {
    console.log(`tap ended with ${signal ?? status} and no failed assertion: a crash?`)
  }
  if (counts.pass + counts.fail === 0) console.log('no test ran')
  console.log(`${counts.pass} passed, ${counts.fail} failed, ${counts.skip + counts.todo} skipped`)
  process.exitCode = status || (counts.pass === 0 || counts.fail > 0 ? 1 : 0)
})

/** @param {string} line One line of TAP 14; a subtest is indented by four. */
function read(line) {
  if (diagnosis !== null) {
    readDiagnosis(diagnosis, line)
    return
  }
  const indent = line.length - line.trimStart().length
  const text = line.slice(indent)
  const depth = indent / 4
  const [, subtest] = /^# Subtest: (.*)$/.exec(text) ?? []
  const [, isNot, name = '', directive, why] =
    /^(not )?ok \d+(?: - (.*?))?(?: # (SKIP|TODO|time)\b=?(.*))?$/.exec(text) ?? []
  if (subtest !== undefined) path = [...path.slice(0, depth), subtest]
  else if (/^(not )?ok \d/.test(text)) readResult({ depth, isNot: isNot !== undefined, name, directive, why })
  else if (text === '---' && indent > 0) diagnosis = { indent, lines: [], isHidden: !isFailure }
  else if (depth === 0) readSummary(text)
}

/** @param {{ depth: number, isNot: boolean, name: string, directive: string | undefined, why: string | undefined }} result */
function readResult({ depth, isNot, name, directive, why }) {
  const where = [...path.slice(0, depth), name].join(' > ')
  const isEndOfSubtest = path.length > depth && path[depth] === name
  const isToldAlready = isEndOfSubtest && failures > 0
  isFailure = isNot && directive !== 'TODO' && !isToldAlready
  if (directive === 'SKIP') console.log(`SKIP ${where}: ${why?.trim()}`)
  if (isFailure) {
    failures += 1
    console.log(`FAIL ${where}`)
  }
  if (depth === 0) failures = 0
  if (isEndOfSubtest) path = path.slice(0, depth)
}

/** @param {Diagnosis} reading @param {string} line */
function readDiagnosis(reading, line) {
  if (line !== `${' '.repeat(reading.indent)}...`) {
    reading.lines.push(line.slice(reading.indent))
    return
  }
  diagnosis = null
  if (!reading.isHidden) for (const shown of withoutNoise(reading.lines)) console.log(`     ${shown}`)
}

/** Keys that say nothing are left out with what is indented under them. @param {string[]} all */
function withoutNoise(all) {
  let isNoise = false
  const kept = all.filter((line) => {
    if (/^\S/.test(line)) isNoise = NOT_SHOWN.test(line)
    return !isNoise && line.trim() !== ''
  })
  const more = kept.length - MOST_DIAGNOSTIC_LINES
  return more > 0 ? [...kept.slice(0, MOST_DIAGNOSTIC_LINES), `… ${more} lines more in ${REPORT}`] : kept
}

/** The totals, and of the table of coverage its first row. @param {string} text */
function readSummary(text) {
  const [, totals] = /^# \{ (.*) \}$/.exec(text) ?? []
  for (const [, key = '', value] of totals?.matchAll(/(\w+): (\d+)/g) ?? []) {
    if (Object.hasOwn(counts, key)) counts[/** @type {keyof typeof counts} */ (key)] = Number(value)
  }
  const [, statements, branches] = /All files +\| +([\d.]+) \| +([\d.]+)/.exec(text) ?? []
  if (statements !== undefined)
    console.log(`coverage: ${statements} % of statements, ${branches} % of branches`)
}
