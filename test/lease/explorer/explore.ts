// An explicit-state explorer: every state that a small world can reach, breadth first, so that the first violation comes
// by one of the shortest schedules. What a world is: record-world.ts, tree-world.ts.

export interface Step<State> {
  name: string
  next: State
  /** Whether it happens by itself. Not: faults, and what somebody does who need not do it. */
  isFair: boolean
}

export interface Model<State> {
  initial: readonly State[]
  /** The same for states that go on in the same way. */
  key(state: State): string
  steps(state: State): Step<State>[]
  /** What is wrong in it; null: nothing. */
  violation(state: State): string | null
  /** What is wanted has been reached. From every state such a one must be reachable by fair steps alone. */
  isWell(state: State): boolean
}

export interface Exploration {
  states: number
  /** Length of the longest of all shortest schedules; of the schedule of the finding, if there is one. */
  depth: number
  /** Whether there is no state that was not seen. */
  isExhaustive: boolean
  finding: { what: string; schedule: string[] } | null
}

export const explore = <State>(model: Model<State>, { mostStates }: { mostStates: number }): Exploration => {
  const seen = new Map<string, number>()
  /** By number of the state: where it was come from, and by what. */
  const parents: number[] = []
  const names: string[] = []
  /** Fair steps, from and to. */
  const from: number[] = []
  const to: number[] = []
  const well: number[] = []
  let level: { state: State; number: number }[] = []
  let depth = 0

  const schedule = (number: number): string[] => {
    const steps: string[] = []
    for (let at = number; parents[at] !== -1 && at >= 0; at = parents[at] ?? -1) steps.push(names[at] ?? '')
    return steps.reverse()
  }
  const enter = (state: State, parent: number, name: string): { number: number; isNew: boolean } => {
    const key = model.key(state)
    const known = seen.get(key)
    if (known !== undefined) return { number: known, isNew: false }
    const number = parents.length
    seen.set(key, number)
    parents.push(parent)
    names.push(name)
    return { number, isNew: true }
  }
  const end = (what: string, number: number, isExhaustive: boolean): Exploration => {
    const steps = schedule(number)
    return { states: seen.size, depth: steps.length, isExhaustive, finding: { what, schedule: steps } }
  }

  for (const state of model.initial) level.push({ state, number: enter(state, -1, '').number })
  for (; level.length > 0; depth++) {
    const next: typeof level = []
    for (const { state, number } of level) {
      if (model.isWell(state)) well.push(number)
      for (const step of model.steps(state)) {
        const entered = enter(step.next, number, step.name)
        if (step.isFair) {
          from.push(number)
          to.push(entered.number)
        }
        if (!entered.isNew) continue
        const what = model.violation(step.next)
        if (what !== null) return end(what, entered.number, false)
        next.push({ state: step.next, number: entered.number })
      }
      if (seen.size > mostStates) return { states: seen.size, depth, isExhaustive: false, finding: null }
    }
    level = next
  }
  const stuck = firstThatCannotReach(well, from, to, seen.size)
  if (stuck !== null) return end('it can never be well again without another fault', stuck, true)
  return { states: seen.size, depth: depth - 1, isExhaustive: true, finding: null }
}

/** @returns the lowest number, so one of the shortest schedules; null: there is none. */
const firstThatCannotReach = (
  goals: number[],
  from: number[],
  to: number[],
  count: number,
): number | null => {
  // The steps that lead to each state, behind one another.
  const starts = new Int32Array(count + 1)
  for (const target of to) starts[target + 1] = (starts[target + 1] ?? 0) + 1
  for (let at = 0; at < count; at++) starts[at + 1] = (starts[at + 1] ?? 0) + (starts[at] ?? 0)
  const filled = starts.slice()
  const sources = new Int32Array(to.length)
  for (const [index, target] of to.entries()) {
    const at = filled[target] ?? 0
    filled[target] = at + 1
    sources[at] = from[index] ?? 0
  }
  const isReached = new Uint8Array(count)
  const queue = [...goals]
  for (const goal of goals) isReached[goal] = 1
  for (let next = queue.pop(); next !== undefined; next = queue.pop()) {
    for (let at = starts[next] ?? 0; at < (starts[next + 1] ?? 0); at++) {
      const source = sources[at] ?? 0
      if (isReached[source] === 1) continue
      isReached[source] = 1
      queue.push(source)
    }
  }
  const first = isReached.indexOf(0)
  return first === -1 ? null : first
}
