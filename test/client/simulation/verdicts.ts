// What was found wrong, and, if somebody wants to read it, the story of how it came about.

export interface Violation {
  /** The promise that was broken, one of RULES. */
  rule: Rule
  what: string
}

/** What is promised of a client, in words; who judges it is judge-*.ts. */
export const RULES = [
  'one socket at a time',
  'no dial before its time',
  'no dial while it is suspended or closed',
  'no dial after a refusal until somebody asks',
  'a cancelled attempt never opens',
  'no socket is ended without a reason',
  'a peer that answers is not taken for dead',
  'a dead connection is found',
  'no message on a socket that is not open',
  'no message after our Close frame',
  'messages go out in order',
  'nothing is sent twice',
  'nothing is sent after it was settled',
  'nothing is sent after it has expired',
  'a receipt has its proof',
  'a receipt names level and connection',
  'a rejection has its reason',
  'never sent means never sent',
  'a fate is unknown only of what was sent',
  'what a lost connection left is settled at once',
  'every promise settles in time',
  'accepted = confirmed + rejected + pending',
  'the outbox keeps to its bounds',
  'a slow consumer holds the upstream back',
  'what waits for a consumer is bounded',
  'every incoming message is told, once and in order',
  'peers that answer pings are not degraded',
  'states follow one another',
  'nothing happens after closed',
  'no timer is left',
  'connect() tells the truth',
  'the client does not fail by itself',
] as const

export type Rule = (typeof RULES)[number]

export class Verdicts {
  readonly violations: Violation[] = []
  readonly story: string[] = []
  readonly #now: () => number
  readonly #isTold: boolean

  constructor(now: () => number, isTold: boolean) {
    this.#now = now
    this.#isTold = isTold
  }

  violation(rule: Rule, what: string): void {
    this.tell(() => `VIOLATION ${rule}: ${what}`)
    this.violations.push({ rule, what })
  }

  /** What comes after the first violation is no part of its story. */
  tell(line: () => string): void {
    if (this.#isTold && this.violations.length === 0)
      this.story.push(`${String(this.#now()).padStart(7)}  ${line()}`)
  }
}
