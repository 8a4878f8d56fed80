// Columns that line up. A cell knows its text and its colour apart, so that colour does not count as width.

export interface Cell {
  text: string
  paint?: (text: string) => string
  /** Numbers read better from the right. */
  isRight?: boolean
}

const GAP = '  '

/** Rows of cells as lines, each column as wide as its widest cell. Text has to be safe to show. */
export const renderTable = (rows: readonly (readonly Cell[])[]): string[] => {
  const widths: number[] = []
  for (const row of rows) {
    row.forEach(({ text }, column) => {
      widths[column] = Math.max(widths[column] ?? 0, text.length)
    })
  }
  return rows.map((row) =>
    row
      .map((cell, column) => pad(cell, widths[column] ?? 0))
      .join(GAP)
      .trimEnd(),
  )
}

const pad = ({ text, paint = (plain) => plain, isRight = false }: Cell, width: number): string => {
  const space = ' '.repeat(width - text.length)
  return isRight ? space + paint(text) : paint(text) + space
}
