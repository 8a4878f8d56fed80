// The load generator that never retries, for tests. It lives in bench/load.js, where the bench uses it too.

export { type LoadOptions, type LoadResult, startLoad } from '../../bench/load.js'

import type { LoadResult } from '../../bench/load.js'

/** A result as the text of a failed assertion: the figures and the first failures. */
export const describeLoad = ({ requests, failed, byKind, firstFailures }: LoadResult): string =>
  [
    `${failed} of ${requests} requests failed: ${JSON.stringify(byKind)}`,
    ...firstFailures.map((failure) => JSON.stringify(failure)),
  ].join('\n')
