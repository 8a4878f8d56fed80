// What a round of an exclusive campaign does: who takes part, and what befalls them. Pure data, all of it made up by
// make-plan.ts from the seed; how it is done is faults.ts, what must hold test/support/judge-exclusive.ts.

export interface Starter {
  /** A supervisor with so many workers; null: a plain script. */
  workers: number | null
  /** Whether the workers have a server, and are ready when it listens. */
  serves: boolean
  /** Whether it may use no lock of the kernel, as on macOS. */
  isWithoutKernelLock: boolean
}

export type Fault =
  | { type: 'rolling'; reloads: number }
  | { type: 'kill'; pauses: number[] }
  /** The holder; `continueAfter` null: for ever. */
  | { type: 'stop'; continueAfter: number | null }
  | { type: 'block'; ms: number }
  | { type: 'primary-kill' }
  /** Everybody of the first to start; a second waits. */
  | { type: 'tree-stop'; ms: number; ending: 'continue' | 'kill'; waiter: Starter }
  /** The first to start is killed with all its workers, and these come at once. */
  | { type: 'stale'; starters: Starter[]; endings: ('SIGTERM' | 'SIGKILL')[] }
  /** The clock of one of two jumps by so many seconds, each time after a pause. */
  | { type: 'clock'; whose: 'holder' | 'waiter'; jumps: { pause: number; to: number }[]; waiter: Starter }

export interface ExclusivePlan {
  first: Starter
  onUnconfirmed: 'resend' | 'reject'
  /** Each sender sends a message each so many ms. */
  every: number
  fanout: boolean
  /** When the fault begins, after the first receipt of each sender (ms). */
  at: number
  fault: Fault
  /** False only in tests: everybody connects, and that must be found. */
  isExclusive: boolean
}

export const describePlan = ({ first, fault, ...rest }: ExclusivePlan): string[] => [
  `plan: ${JSON.stringify(rest)}`,
  `first: ${JSON.stringify(first)}`,
  `fault: ${JSON.stringify(fault)}`,
]
