// Plays one schedule in virtual time: the real cores in a primary and its workers, plain scripts beside them, an upstream,
// and a judge that sees everything. Then all faults are over, and what is wanted must be open again.

import { Random } from '../../campaign/random.js'
import { type Cores, REAL_CORES } from './cores.js'
import { Judge } from './judge.js'
import { Loop } from './loop.js'
import { MachineLease } from './machine.js'
import { type Act, IDENTITIES, type Plan } from './plan.js'
import { Primary } from './primary.js'
import { Upstream } from './upstream.js'
import { Verdicts, type Violation } from './verdicts.js'
import { Worker } from './worker.js'

export interface Played {
  violations: Violation[]
  /** Empty unless it was asked for. */
  story: string[]
}

/**
 * ms of virtual time in which all must be well once nobody does anything any more: a stopped holder is found and killed,
 * the next one lets go as slowly as it may, and a new one opens at once.
 */
const ALL_IS_WELL_WITHIN = 60_000

export const playSchedule = (plan: Plan, isTold = false, cores: Cores = REAL_CORES): Played =>
  new Schedule(plan, isTold, cores).play()

class Schedule {
  readonly #plan: Plan
  readonly #loop = new Loop()
  readonly #random: Random
  readonly #verdicts: Verdicts
  readonly #judge: Judge
  readonly #upstream: Upstream
  readonly #primary: Primary
  readonly #machines = new Map<string, MachineLease>()
  readonly #workers = new Map<number, Worker>()
  readonly #scripts: Worker[] = []
  readonly #cores: Cores

  constructor(plan: Plan, isTold: boolean, cores: Cores) {
    this.#plan = plan
    this.#cores = cores
    const random = new Random(plan.seed ^ 0x5eed)
    this.#random = random
    this.#verdicts = new Verdicts(() => this.#loop.now, isTold)
    this.#judge = new Judge(this.#loop, this.#verdicts, plan)
    this.#upstream = new Upstream(this.#loop, random, {
      accepted: (line) => this.#judge.accepted(line, this.#upstream),
      wrote: (line) => this.#judge.wrote(line),
    })
    this.#primary = new Primary({
      ...{ loop: this.#loop, random, judge: this.#judge },
      arbiter: new cores.LeaseArbiter(),
      delay: () => random.int(0, plan.delay),
      readsFirst: plan.readsFirst,
    })
  }

  play(): Played {
    try {
      for (const { after, act } of this.#plan.steps) {
        this.#runFor(after)
        if (this.#isBroken) break
        this.#verdicts.tell(() => `-- ${JSON.stringify(act)}`)
        this.#act(act)
      }
      if (!this.#isBroken) this.#finish()
    } catch (error) {
      this.#verdicts.violation('the cores do not fail', String(error instanceof Error ? error.stack : error))
    }
    return this.#verdicts
  }

  get #isBroken(): boolean {
    return this.#verdicts.violations.length > 0
  }

  #runFor(ms: number): void {
    this.#loop.runUntil(this.#loop.now + ms, () => this.#isBroken)
  }

  #act(act: Act): void {
    switch (act.do) {
      case 'start a worker':
        return this.#startWorker(act)
      case 'start a script':
        return this.#startScript(act.identity, act.stays)
      case 'pause the primary':
        return this.#primary.process.pause(act.ms)
      case 'hand over':
        return this.#primary.handOver(`client ${act.identity}`, act.to)
      case 'distrust':
        return this.#primary.distrust(act.generation)
      case 'upstream':
        this.#upstream.mood = act
        return
      case 'upstream ends':
        return this.#upstream.end(act.identity, act.how)
    }
    const worker = this.#workers.get(act.worker)
    if (worker !== undefined) this.#actOn(worker, act)
  }

  #actOn(worker: Worker, act: Extract<Act, { worker: number }>): void {
    const { process, number } = worker
    switch (act.do) {
      case 'try out':
        return this.#primary.tryOut(number, act)
      case 'leave':
        return this.#primary.leave(number)
      case 'kill':
        return process.die()
      case 'cut the channel':
        return this.#primary.cut(number)
      case 'pause':
        return process.pause(act.ms ?? Number.POSITIVE_INFINITY)
      case 'claim':
      case 'withdraw':
      case 'need':
      case 'insist': {
        const { do: what, identity } = act
        process.receive(0, () => worker[what](identity))
      }
    }
  }

  #startWorker({ generation, identities, provedAfter }: Extract<Act, { do: 'start a worker' }>): void {
    const worker = this.#newWorker(this.#workers.size + 1, generation)
    this.#workers.set(worker.number, worker)
    this.#primary.spawn(worker, provedAfter)
    for (const identity of identities)
      worker.process.receive(this.#random.int(1, 200), () => worker.claim(identity))
  }

  #startScript(identity: string, stays: number): void {
    const worker = this.#newWorker(1_000 + this.#scripts.length, 0)
    this.#scripts.push(worker)
    worker.claim(identity)
    worker.process.setTimer(stays, () => worker.receive({ type: 'leave' }))
  }

  #newWorker(number: number, generation: number): Worker {
    const worker = new Worker(
      {
        ...{ loop: this.#loop, random: this.#random, cores: this.#cores, upstream: this.#upstream },
        machineOf: (identity) => this.#machineOf(identity),
        mayUse: (of, shell, epoch) => this.#judge.mayUse(of, shell.identity, epoch),
      },
      number,
      generation,
    )
    this.#judge.workers.set(worker.process.name, worker)
    return worker
  }

  #machineOf(identity: string): MachineLease {
    const known = this.#machines.get(identity) ?? new MachineLease()
    this.#machines.set(identity, known)
    return known
  }

  // --- All is well again ----------------------------------------------------------------------------------------

  #finish(): void {
    this.#verdicts.tell(() => '-- nobody does anything any more')
    this.#upstream.mood = { slowness: 5, isRefusing: false, isRude: false }
    this.#primary.process.resume()
    // A stopped script holds what it holds: nobody may end it but whoever stopped it.
    for (const { process } of this.#scripts) process.resume()
    const begun = this.#loop.now
    do {
      this.#runFor(1_000)
      if (this.#isBroken || this.#complaints().length === 0) return
      for (const identity of IDENTITIES) this.#insistOn(identity)
    } while (this.#loop.now - begun < ALL_IS_WELL_WITHIN)
    for (const [rule, what] of this.#complaints()) this.#verdicts.violation(rule, what)
  }

  #insistOn(identity: string): void {
    if (this.#primary.arbiter.state.leases[`client ${identity}`]?.isBarred !== true) return
    for (const worker of this.#workers.values())
      if (worker.process.isAlive && !worker.process.isPaused && !worker.isCutOff) worker.insist(identity)
  }

  #complaints(): (readonly [Violation['rule'], string])[] {
    const complaints: (readonly [Violation['rule'], string])[] = []
    const { leases } = this.#primary.arbiter.state
    for (const [name, { move }] of Object.entries(leases))
      if (move !== null) complaints.push(['no move is left over', `${name}: ${JSON.stringify(move)}`])
    for (const request of this.#judge.unanswered)
      complaints.push(['every hand-over is answered once', `request ${request} is not answered`])
    for (const claimant of this.#judge.trialsPending)
      complaints.push(['a trial has its verdict, once', `w${claimant} waits for it`])
    for (const identity of IDENTITIES) {
      const open = this.#upstream.open(identity).length
      if (this.#isWanted(identity) && open !== 1)
        complaints.push(['what is wanted is open again', `${identity} is open ${open} times`])
    }
    return complaints
  }

  /** By whoever may have it: who leaves only with something to deliver, who has failed not at all. */
  #isWanted(identity: string): boolean {
    const { claimants } = this.#primary.arbiter.state
    return [...this.#workers.values()].some((worker) => {
      const claimant = claimants[worker.number]
      if (!worker.process.isAlive || worker.process.isPaused || worker.isCutOff || worker.isLeaving)
        return false
      if (claimant === undefined || claimant.isLeaving || claimant.hasFailed) return false
      return worker.shells.some((shell) => shell.identity === identity && shell.phase !== 'ended')
    })
  }
}
