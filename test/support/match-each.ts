// A list in which each one is as it should be, and there are no more: `t.match` alone lets what is beyond its pattern pass.

import type { Test } from 'tap'

export const matchEach = (
  t: Test,
  actual: readonly unknown[],
  patterns: readonly unknown[],
  message = 'each is as it should be',
): void => {
  t.match(actual, patterns, message)
  t.equal(actual.length, patterns.length, `no more than that: ${JSON.stringify(actual)}`)
}
