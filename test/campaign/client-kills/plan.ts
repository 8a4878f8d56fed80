// What a round of client-kills is: who sends how, and what is done to the server and the network in front of it. Data, so
// that a test can write one by hand; make-plan.ts draws them.

export interface SenderPlan {
  onUnconfirmed: 'reject' | 'resend'
  /** Whether some messages have a deadline, a date of expiry or a signal, and the outbox is small. */
  isBounded: boolean
  whenFull: 'reject' | 'wait'
  seed: number
  /** A wrong client, that calls received what was only written. Never drawn. */
  isBoasting?: boolean
}

export type Fault =
  /** `kill -9`, and the next server after so many ms. */
  | { type: 'kill'; downFor: number }
  /** SIGSTOP, and SIGCONT after so many ms. */
  | { type: 'pause'; ms: number }
  /** Both ends of connections are reset. */
  | { type: 'reset'; whose: Whose }
  /** So many bytes more go to the server, which ends in the middle of a frame as a rule; then a reset. */
  | { type: 'cut'; whose: Whose; bytes: number }
  /**
   * Nothing goes through, though the network takes it. Then it flows again; or it is lost and both ends are reset; or the
   * client is cut off and what was held reaches the server late, when the client may be back already.
   */
  | { type: 'stall'; whose: Whose; ms: number; ending: 'flow' | 'reset' | 'late' }
  /** Connections are reset, and new ones too for so many ms. */
  | { type: 'refuse'; ms: number }

/** All connections, or those of one sender at most: the nth of those that are open. */
export type Whose = 'all' | number

export interface Step {
  /** ms after the begin. */
  at: number
  fault: Fault
}

export interface RoundPlan {
  senders: SenderPlan[]
  /** In the order of time. */
  steps: Step[]
  /** `calm`: senders stop when all is well again; else ms after the begin, in the middle of the faults. */
  endsAt: 'calm' | number
}

export const describePlan = ({ senders, steps, endsAt }: RoundPlan): string[] => [
  ...senders.map((sender, index) => `sender ${index + 1}: ${JSON.stringify(sender)}`),
  ...steps.map(({ at, fault }) => `at ${at} ms: ${JSON.stringify(fault)}`),
  `senders stop ${endsAt === 'calm' ? 'when all is calm' : `after ${endsAt} ms`}`,
]
