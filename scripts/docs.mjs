// node scripts/docs.mjs: writes the tables of docs/ that come from the code: options, commands, exit codes, errors.
// With --check it writes nothing and exits 1 where a page differs. A table stands between `<!-- table: NAME -->` and
// `<!-- end -->`. Needs dist.

import { readFileSync, writeFileSync } from 'node:fs'
import { COMMANDS } from '../dist/cli/command-table.js'
import { EXIT_CODES } from '../dist/cli/exit-code.js'
import { ERROR_CODES } from '../dist/shared/errors.js'
import { flagOf, OPTION_KEYS, OPTIONS, variableOf } from '../dist/shared/option-table.js'

const commands = await Promise.all(Object.values(COMMANDS).map((load) => load()))
/** @param {string} text */
const code = (text) => `\`${text}\``

/** @type {Record<string, string>} */
const FLAGLESS = { script: 'the operand', args: 'after `--`' }
/** @param {import('../dist/shared/option-table.js').OptionKey} key */
const flagCell = (key) => {
  const { placeholder, short } = OPTIONS[key]
  if (placeholder === null) return FLAGLESS[key] ?? ''
  return `${short === undefined ? '' : `${code(`-${short}`)}, `}${code(flagOf(key))}`
}

const START_FLAGS = new Set(OPTION_KEYS.map(flagOf))
/**
 * Flags of a command that are not options of the configuration, which have a page of their own.
 *
 * @param {import('../dist/cli/command.js').Command} command
 */
const ownFlags = ({ name, options }) => {
  const own = options.filter(
    ({ long, hidden }) => long !== '--name' && !hidden && !START_FLAGS.has(long ?? ''),
  )
  const flags = own.map(({ flags: text, description }) => `${code(text)}: ${description}`)
  return [
    ...(['start', 'config'].includes(name) ? ['[all options](configuration.md#options)'] : []),
    ...flags,
  ].join('; ')
}

const TABLES = {
  options: {
    page: 'docs/configuration.md',
    head: ['key', 'flag', 'variable', 'default', 'meaning'],
    rows: OPTION_KEYS.map((key) => {
      const { summary, byDefault, noVariable, noFile } = OPTIONS[key]
      return [
        noFile ? '' : code(key),
        flagCell(key),
        noVariable ? '' : code(variableOf(key)),
        byDefault,
        summary,
      ]
    }),
  },
  commands: {
    page: 'docs/cli.md',
    head: ['command', 'does', 'flags of its own'],
    rows: commands.map((command) => [
      code([command.name, command.operands].filter(Boolean).join(' ')),
      command.summary,
      ownFlags(command),
    ]),
  },
  'exit codes': {
    page: 'docs/cli.md',
    head: ['code', 'meaning'],
    rows: Object.entries(EXIT_CODES),
  },
  errors: {
    page: 'docs/errors.md',
    head: ['code', 'retryable', 'meaning'],
    rows: Object.entries(ERROR_CODES).map(([name, { retryable, meaning }]) => [
      code(name),
      retryable ? 'yes' : 'no',
      meaning,
    ]),
  },
}

/** @param {{ head: string[], rows: string[][] }} table */
const tableText = ({ head, rows }) => {
  const cells = [head, ...rows].map((row) => row.map((cell) => String(cell).replaceAll('|', '\\|')))
  const widths = head.map((_, column) => Math.max(...cells.map((row) => (row[column] ?? '').length)))
  const lines = cells.map(
    (row) => `| ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |`,
  )
  lines.splice(1, 0, `| ${widths.map((width) => '-'.repeat(width)).join(' | ')} |`)
  return lines.join('\n')
}

const isCheck = process.argv.includes('--check')
const pages = new Map()
for (const [name, table] of Object.entries(TABLES)) {
  const text = pages.get(table.page) ?? readFileSync(table.page, 'utf8')
  const [begin, end] = [`<!-- table: ${name} -->`, '<!-- end -->']
  const from = text.indexOf(begin)
  const to = text.indexOf(end, from)
  if (from < 0 || to < 0) throw new Error(`${table.page} has no ${begin} … ${end}`)
  pages.set(table.page, `${text.slice(0, from + begin.length)}\n${tableText(table)}\n${text.slice(to)}`)
}
for (const [page, text] of pages) {
  if (readFileSync(page, 'utf8') === text) continue
  if (!isCheck) writeFileSync(page, text)
  else {
    console.error(`${page}: its tables are not those of the code; run npm run docs`)
    process.exitCode = 1
  }
}
