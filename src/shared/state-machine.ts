// A lifecycle as a transition table: the table is the whole truth, and an illegal move throws.
// It decides nothing: who moves it, and why, lives with the lifecycle.

import { ForksafeError } from './errors.js'

/** For each state the states that may follow it. */
export type TransitionTable<State extends string> = { readonly [From in State]: readonly State[] }

/**
 * Returns the state after a move, or throws.
 *
 * @throws FORKSAFE_ERR_ILLEGAL_TRANSITION naming lifecycle, from, to and reason.
 */
export const transition = <State extends string>(
  lifecycle: string,
  table: TransitionTable<State>,
  from: State,
  to: State,
  reason: string,
): State => {
  if (!table[from].includes(to)) {
    throw new ForksafeError(
      'FORKSAFE_ERR_ILLEGAL_TRANSITION',
      `${lifecycle} cannot move from ${from} to ${to} (${reason})`,
      { details: { lifecycle, from, to, reason } },
    )
  }
  return to
}
