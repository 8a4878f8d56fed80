// The nearest known name to one that is not known, for error messages.

/**
 * The known name that a mistyped one was probably meant to be, or undefined when none is near: at most two letters
 * wrong, added, missing or swapped, and never more than a third of it. Case and dashes do not count.
 */
export const didYouMean = (name: string, known: readonly string[]): string | undefined => {
  const wanted = plain(name.slice(0, 64))
  let nearest: { name: string; distance: number } | undefined
  for (const candidate of known) {
    const distance = editDistance(wanted, plain(candidate))
    if (distance > Math.min(2, Math.max(1, Math.floor(candidate.length / 3)))) continue
    if (nearest === undefined || distance < nearest.distance) nearest = { name: candidate, distance }
  }
  return nearest?.name
}

const plain = (name: string): string => name.toLowerCase().replaceAll('-', '').replaceAll('_', '')

/** Insertions, deletions, replacements and swaps of neighbours between two words (optimal string alignment). */
const editDistance = (a: string, b: string): number => {
  let beforeLast: number[] = []
  let last = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1]
      let least = Math.min(at(last, j) + 1, at(row, j - 1) + 1, at(last, j - 1) + (same ? 0 : 1))
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        least = Math.min(least, at(beforeLast, j - 2) + 1)
      }
      row.push(least)
    }
    beforeLast = last
    last = row
  }
  return at(last, b.length)
}

const at = (row: readonly number[], index: number): number => row[index] ?? Number.POSITIVE_INFINITY
