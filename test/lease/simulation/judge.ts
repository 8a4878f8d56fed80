// Sees everything in the simulated world and believes only that: what the upstream counts, which processes live, what
// each has open. What it finds is in verdicts.ts; what must be true at the end is finale.ts.

import type { ArbiterEffect, ArbiterEvent } from '../../../src/lease/arbiter-events.js'
import { FENCE, OVERDUE, REVOKE_BUDGET, REVOKE_GRACE, SLEPT } from '../../../src/lease/timing.js'
import type { Loop } from './loop.js'
import type { Plan } from './plan.js'
import type { Primary } from './primary.js'
import type { Line, Upstream } from './upstream.js'
import type { Verdicts } from './verdicts.js'
import type { Worker } from './worker.js'

interface Trial {
  /** Handed to it, and not said to be open or to have failed. */
  pending: number
  verdict: 'none' | 'fine' | 'failed'
  isOver: boolean
  onTried: (failure: string | null) => void
}

export class Judge {
  readonly verdicts: Verdicts
  readonly #loop: Loop
  readonly #plan: Plan
  readonly #lastEpoch = new Map<string, number>()
  #lastGrant = 0
  readonly #requests = new Map<number, boolean>()
  readonly #trials = new Map<number, Trial>()
  readonly #granted = new Map<string, { worker: Worker; grant: number; revokedAt: number | null }>()
  readonly #condemned = new Set<number>()
  readonly #failed = new Set<number>()
  readonly #leaving = new Set<number>()
  readonly #needed = new Set<string>()
  /** Workers by their processes' names: who wrote a frame. */
  readonly workers = new Map<string, Worker>()

  constructor(loop: Loop, verdicts: Verdicts, plan: Plan) {
    this.#loop = loop
    this.#plan = plan
    this.verdicts = verdicts
  }

  // --- What the upstream and the workers do ---------------------------------------------------------------------

  accepted(line: Line, upstream: Upstream): void {
    const open = upstream.open(line.identity)
    this.verdicts.tell(() => `upstream: ${line.process.name} opens ${line.identity}, epoch ${line.epoch}`)
    if (open.length > 1)
      this.verdicts.violation(
        'one open connection for each identity',
        `${line.identity} is open of ${open.map(({ process }) => process.name).join(' and ')}`,
      )
  }

  wrote(line: Line): void {
    const worker = this.workers.get(line.process.name)
    const shell = worker?.shells.findLast(({ identity }) => identity === line.identity)
    if (shell === undefined || worker === undefined) return
    const { phase, epoch } = shell.core.state
    if (
      phase !== 'held' ||
      epoch !== line.epoch ||
      !shellMachineAgrees(this.#lastEpoch.get(line.identity), line)
    )
      this.verdicts.violation(
        'no frame without the lease',
        `${worker.process.name} is ${phase}, epoch ${line.epoch}`,
      )
    if (worker.send !== null && this.#loop.now >= worker.provedAt + FENCE)
      this.verdicts.violation(
        'no frame after the fence',
        `${worker.process.name} was last proved at ${worker.provedAt}`,
      )
  }

  mayUse(worker: Worker, identity: string, epoch: number): void {
    const last = this.#lastEpoch.get(identity) ?? 0
    const isSame = last === epoch && this.#holderOfEpoch.get(identity) === worker
    if (epoch < last || (epoch === last && !isSame))
      this.verdicts.violation('grants and epochs only grow', `${identity}: ${epoch} after ${last}`)
    this.#lastEpoch.set(identity, epoch)
    this.#holderOfEpoch.set(identity, worker)
    this.verdicts.tell(() => `${worker.process.name} may use ${identity}, epoch ${epoch}`)
  }
  readonly #holderOfEpoch = new Map<string, Worker>()

  // --- What the primary does ------------------------------------------------------------------------------------

  handled(event: ArbiterEvent, effects: readonly ArbiterEffect[], primary: Primary): void {
    if (event.type !== 'renewed') this.verdicts.tell(() => `arbiter ← ${JSON.stringify(event)}`)
    if (event.type === 'leaving') this.#leaving.add(event.claimant)
    if (event.type === 'needed') this.#needed.add(`${event.claimant} ${event.claim}`)
    for (const effect of effects) {
      if (effect.type !== 'holderChanged') this.verdicts.tell(() => `arbiter → ${JSON.stringify(effect)}`)
      switch (effect.type) {
        case 'grant':
          this.#grant(effect, primary)
          break
        case 'revoke': {
          for (const granted of this.#granted.values())
            if (granted.grant === effect.grant) granted.revokedAt = this.#loop.now
          break
        }
        case 'lost':
          this.#granted.delete(effect.lease)
          break
        case 'kill':
          this.#kill(effect.claimant, primary)
          break
        case 'trying':
          this.#trying(effect.claimant)
          break
        case 'tried':
          this.#tried(effect.claimant, effect.failure)
          break
        case 'handedOver':
          if (this.#requests.get(effect.request) !== false)
            this.verdicts.violation('every hand-over is answered once', `request ${effect.request}`)
          this.#requests.set(effect.request, true)
      }
    }
  }

  #grant(
    { claimant, claim, grant, lease }: Extract<ArbiterEffect, { type: 'grant' }>,
    primary: Primary,
  ): void {
    if (grant <= this.#lastGrant)
      this.verdicts.violation('grants and epochs only grow', `grant ${grant} after ${this.#lastGrant}`)
    this.#lastGrant = grant
    for (const { worker } of primary.members.values()) {
      const shell = worker.shells.findLast((one) => one.lease === lease)
      if (!worker.process.isAlive || shell === undefined) continue
      const isBusy = shell.phase !== 'waiting' && shell.phase !== 'ended'
      if (isBusy || shell.user.hasConnection)
        this.verdicts.violation(
          'nobody is granted before the last holder has let go',
          `${lease} for w${claimant}, while ${worker.process.name} is ${shell.phase}`,
        )
    }
    if (primary.arbiter.state.leases[lease]?.isBarred === true)
      this.verdicts.violation('nobody is granted what is barred', `${lease} for w${claimant}`)
    const isLeaving = this.#leaving.has(claimant) && !this.#needed.has(`${claimant} ${claim}`)
    if (isLeaving || this.#condemned.has(claimant) || this.#failed.has(claimant))
      this.verdicts.violation(
        'who leaves, has failed or is condemned is granted nothing',
        `${lease} for w${claimant}`,
      )
    const worker = primary.members.get(claimant)?.worker
    if (worker !== undefined) this.#granted.set(lease, { worker, grant, revokedAt: null })
  }

  #kill(claimant: number, primary: Primary): void {
    const worker = primary.members.get(claimant)?.worker
    if (worker === undefined) return
    const { now } = this.#loop
    this.#condemned.add(claimant)
    const { process } = worker
    // What was sent just now may be on its way, or, where the time is looked at before what came in is read, unread.
    const unread = this.#plan.delay + (this.#plan.readsFirst ? 0 : 2 * SLEPT)
    const wasHeard = worker.beats.some((at) => at > now - OVERDUE && at < now - unread)
    const isSilent = !wasHeard || primary.members.get(claimant)?.toWorker.isCut === true || !process.isAlive
    const isStubborn = [...this.#granted.values()].some(
      (one) =>
        one.worker === worker &&
        one.revokedAt !== null &&
        // Who runs destroys what it has when its budget is over, and says so.
        (process.isPaused || process.wokenAt > one.revokedAt) &&
        now - one.revokedAt >= REVOKE_BUDGET + REVOKE_GRACE,
    )
    if (!isSilent && !isStubborn)
      this.verdicts.violation('a kill has its reason', `${process.name} was neither silent nor stubborn`)
  }

  ticked(next: number | null): void {
    if (next !== null && next <= this.#loop.now)
      this.verdicts.violation('a deadline is in the future, once it was told', `${next} at ${this.#loop.now}`)
  }

  exited(claimant: number): void {
    const trial = this.#trials.get(claimant)
    if (trial !== undefined) trial.isOver = true
  }

  // --- Requests and trials --------------------------------------------------------------------------------------

  requested(request: number): void {
    this.#requests.set(request, false)
  }

  get unanswered(): number[] {
    return [...this.#requests].flatMap(([request, isAnswered]) => (isAnswered ? [] : [request]))
  }

  trialBegun(claimant: number, onTried: (failure: string | null) => void): void {
    this.#trials.set(claimant, { pending: 0, verdict: 'none', isOver: false, onTried })
  }

  wasTried(claimant: number): boolean {
    return this.#trials.has(claimant)
  }

  isTrialOver(claimant: number): boolean {
    return this.#trials.get(claimant)?.isOver ?? true
  }

  isTrying(claimant: number): boolean {
    return (this.#trials.get(claimant)?.pending ?? 0) > 0
  }

  trialOver(claimant: number, end: 'keep' | 'give back'): void {
    const trial = this.#trials.get(claimant)
    if (trial !== undefined) trial.isOver = true
    if (end === 'give back') this.#failed.add(claimant)
  }

  #trying(claimant: number): void {
    const trial = this.#trials.get(claimant)
    if (trial === undefined || trial.isOver)
      return this.verdicts.violation(
        'a trial has its verdict, once',
        `w${claimant} is tried without being asked`,
      )
    trial.pending++
  }

  /** One verdict for all that was handed to it so far; after it a failure may still come, and that is the last. */
  #tried(claimant: number, failure: string | null): void {
    const trial = this.#trials.get(claimant)
    if (trial === undefined) return
    const isExpected = trial.verdict !== 'failed' && (failure !== null || trial.pending > 0)
    if (!isExpected && !trial.isOver)
      this.verdicts.violation(
        'a trial has its verdict, once',
        `w${claimant}: ${failure ?? 'fine'} after ${trial.verdict}`,
      )
    trial.pending = 0
    trial.verdict = failure === null ? 'fine' : 'failed'
    if (!trial.isOver) trial.onTried(failure)
  }

  get trialsPending(): number[] {
    return [...this.#trials].flatMap(([claimant, { pending, isOver }]) =>
      pending > 0 && !isOver ? [claimant] : [],
    )
  }
}

/** A frame of an epoch that is not the last one that anybody may use. */
const shellMachineAgrees = (lastEpoch: number | undefined, { epoch }: Line): boolean => lastEpoch === epoch
