// A Markdown table, aligned so that it is readable as it is printed.

/** @param {readonly string[]} head @param {readonly (readonly (string | number)[])[]} rows */
export function printTable(head, rows) {
  const lines = [head, ...rows].map((cells) => cells.map(String))
  const widths = head.map((_, column) => Math.max(3, ...lines.map((cells) => cells[column]?.length ?? 0)))
  const line = (/** @type {readonly string[]} */ cells) =>
    `| ${widths.map((width, column) => (cells[column] ?? '').padEnd(width)).join(' | ')} |`
  const [first = [], ...rest] = lines
  const rule = widths.map((width) => '-'.repeat(width))
  console.log(`\n${[first, rule, ...rest].map(line).join('\n')}\n`)
}
