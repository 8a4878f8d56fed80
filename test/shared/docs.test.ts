// The pages that list options, errors and exit codes, against the tables that the code uses: both ways, line by line.

import { readFileSync } from 'node:fs'
import t from 'tap'
import { optionRows } from './option-page.js'
import { errorRows, exitCodeRows } from './pages.js'

/** Columns of a formatted page are padded to line up. */
const withoutPadding = (line: string): string =>
  line
    .replace(/ +/g, ' ')
    .replace(/-{3,}/g, '---')
    .replace(/\| (?=\|)/g, '|  ')

const tableIn = (page: string, head: string): string[] => {
  const lines = readFileSync(`docs/${page}`, 'utf8').split('\n').map(withoutPadding)
  const from = lines.indexOf(head)
  const length = lines.slice(from).findIndex((line) => !line.startsWith('|'))
  return lines.slice(from, from + length)
}

const pages = [
  { page: 'configuration.md', rows: optionRows() },
  { page: 'errors.md', rows: errorRows() },
  { page: 'cli.md', rows: exitCodeRows() },
]

for (const { page, rows } of pages) {
  t.test(`docs/${page} lists exactly what the code has`, async (t) => {
    t.same(tableIn(page, rows[0] ?? ''), rows.map(withoutPadding))
  })
}
