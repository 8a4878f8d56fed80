// What a close code of the upstream says of the messages that were on their way.

/** RFC 6455 section 7.4.1: what the peer says of data that it does not take, or that it failed by. */
const POISON_CODES: ReadonlySet<number> = new Set([1003, 1007, 1008, 1009, 1010, 1011])

export const isPoison = (code: number): boolean => POISON_CODES.has(code)

/** Without a message in flight it is us that it does not want. */
export const POLICY_VIOLATION = 1008
