// How large the files of a log are: large enough to be few, small enough that room comes back piece by piece.

const LARGEST_SEGMENT = 16 * 1024 * 1024
const SMALLEST_SEGMENT = 16 * 1024

/** @param maxBytes of the whole spool. */
export const segmentSize = (maxBytes: number): number =>
  Math.min(LARGEST_SEGMENT, Math.max(SMALLEST_SEGMENT, Math.floor(maxBytes / 8)))
