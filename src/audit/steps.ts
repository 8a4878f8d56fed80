// Work that says where it may be interrupted: pure, and yet no loop is blocked by it. A test does it at once, a primary in
// slices.

import type { Slices } from './slices.js'

export type Steps<Result> = Generator<void, Result, void>

/** Does it at once. */
export const atOnce = <Result>(steps: Steps<Result>): Result => {
  for (;;) {
    const { done, value } = steps.next()
    if (done) return value
  }
}

/** @throws the reason of the signal that the slices have. */
export const inSlices = async <Result>(steps: Steps<Result>, slices: Slices): Promise<Result> => {
  for (;;) {
    const { done, value } = steps.next()
    if (done) return value
    if (slices.isOver) await slices.next()
  }
}

/** What is made of each one, with a pause allowed after some of them. */
export function* mapInSteps<Value, Result>(
  values: readonly Value[],
  make: (value: Value) => Result,
): Steps<Result[]> {
  const made: Result[] = []
  for (const [index, value] of values.entries()) {
    made.push(make(value))
    if (index % BETWEEN_PAUSES === BETWEEN_PAUSES - 1) yield
  }
  return made
}

/** A tenth of a millisecond for what is done with a socket. */
const BETWEEN_PAUSES = 100
