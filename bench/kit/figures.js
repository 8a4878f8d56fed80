// Medians, ranges and ratios of what was measured, as numbers and as the text of a table's cell.
// How a table looks is table.js; who measures in which order, rounds.js.

/** The middle value, the mean of the two middle ones when their number is even. @param {readonly number[]} values */
export function median(values) {
  const sorted = [...values].sort((one, other) => one - other)
  const middle = sorted.length / 2
  const above = sorted[Math.floor(middle)]
  const below = sorted[Math.ceil(middle) - 1]
  if (above === undefined || below === undefined) throw new Error('nothing was measured: no median')
  return (above + below) / 2
}

/** The value that this share of all is not above. @param {readonly number[]} values @param {number} share Such as 0.95. */
export function quantile(values, share) {
  const sorted = [...values].sort((one, other) => one - other)
  const found = sorted[Math.min(sorted.length - 1, Math.ceil(sorted.length * share) - 1)]
  if (found === undefined) throw new Error('nothing was measured: no quantile')
  return found
}

/** `185 (167-257)`: median and range. @param {readonly number[]} values @param {number} [digits] After the point. */
export function spread(values, digits = 0) {
  const text = (/** @type {number} */ value) => value.toFixed(digits)
  return `${text(median(values))} (${text(Math.min(...values))}-${text(Math.max(...values))})`
}

/**
 * The median of the ratios to what was measured in the same round, with their range: noise that takes a whole round
 * touches both.
 *
 * @param {readonly number[]} values @param {readonly number[]} base
 */
export function ratio(values, base) {
  return spread(ratios(values, base), 2)
}

/** @param {readonly number[]} values @param {readonly number[]} base */
export function ratios(values, base) {
  return values.map((value, round) => value / (base[round] ?? Number.NaN))
}
