// What was found wrong, and, if somebody wants to read it, the story of how it came about.

export const RULES = [
  'one open connection for each identity',
  'nobody is granted before the last holder has let go',
  'grants and epochs only grow',
  'nobody is granted what is barred',
  'who leaves, has failed or is condemned is granted nothing',
  'no frame without the lease',
  'no frame after the fence',
  'a kill has its reason',
  'every hand-over is answered once',
  'a trial has its verdict, once',
  'what is wanted is open again',
  'no move is left over',
  'a deadline is in the future, once it was told',
  'the cores do not fail',
] as const

export type Rule = (typeof RULES)[number]

export interface Violation {
  rule: Rule
  what: string
}

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
      this.story.push(`${String(this.#now()).padStart(6)}  ${line()}`)
  }
}
