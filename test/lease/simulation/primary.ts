// A simulated primary: the real arbiter, channels to its workers, the timer, kills whose exits are awaited, and what a
// rolling restart does with a trial. What it decides on grants is judged by judge.ts.

import type { LeaseArbiter } from '../../../src/lease/arbiter.js'
import type { ArbiterEffect, ArbiterEvent } from '../../../src/lease/arbiter-events.js'
import type { Random } from '../../campaign/random.js'
import type { Judge } from './judge.js'
import type { Due, Loop } from './loop.js'
import type { ToPrimary, ToWorker } from './messages.js'
import { Pipe, SimProcess } from './sim-process.js'
import type { Worker } from './worker.js'

interface Member {
  worker: Worker
  toWorker: Pipe<ToWorker>
  toPrimary: Pipe<ToPrimary>
}

export interface TrialPlan {
  /** ms for which what was handed over is watched. */
  watch: number
  outcome: 'keep' | 'give back'
}

export class Primary {
  readonly arbiter: LeaseArbiter
  readonly process: SimProcess
  readonly members = new Map<number, Member>()
  readonly #loop: Loop
  readonly #random: Random
  readonly #judge: Judge
  readonly #delay: () => number
  readonly #readsFirst: boolean
  #timer: Due | null = null
  #requests = 0

  constructor(options: {
    arbiter: LeaseArbiter
    loop: Loop
    random: Random
    judge: Judge
    delay: () => number
    readsFirst: boolean
  }) {
    this.arbiter = options.arbiter
    this.#loop = options.loop
    this.#random = options.random
    this.#judge = options.judge
    this.#delay = options.delay
    this.#readsFirst = options.readsFirst
    this.process = new SimProcess(options.loop, 'primary')
  }

  spawn(worker: Worker, provedAfter: number): void {
    const { number, generation, process } = worker
    const toWorker = new Pipe<ToWorker>(process, this.#delay, (message) => worker.receive(message))
    const toPrimary = new Pipe<ToPrimary>(this.process, this.#delay, (message) =>
      this.#receive(number, message),
    )
    worker.send = (message) => toPrimary.send(message)
    this.members.set(number, { worker, toWorker, toPrimary })
    process.onDeath(() => {
      toWorker.isCut = true
      // What it wrote before is still read; its exit is told by the kernel, not by the channel.
      this.process.receive(this.#random.int(0, 30), () => this.#exited(number))
    })
    this.process.receive(0, () => this.#handle({ type: 'joined', claimant: number, generation }))
    this.process.setTimer(provedAfter, () => this.#handle({ type: 'proved', claimant: number }))
  }

  /** A channel breaks while both ends live on. */
  cut(number: number): void {
    const member = this.members.get(number)
    if (member === undefined || member.toWorker.isCut) return
    member.toWorker.isCut = true
    member.toPrimary.isCut = true
    member.worker.process.receive(1, () => member.worker.cutOff())
  }

  leave(number: number): void {
    this.process.receive(0, () => {
      this.#handle({ type: 'leaving', claimant: number })
      this.members.get(number)?.toWorker.send({ type: 'leave' })
    })
  }

  handOver(lease: string, to: number | null): void {
    this.process.receive(0, () => {
      const request = ++this.#requests
      this.#judge.requested(request)
      this.#handle({ type: 'handOver', request, lease, to })
    })
  }

  tryOut(claimant: number, { watch, outcome }: TrialPlan): void {
    this.process.receive(0, () => {
      const member = this.members.get(claimant)
      if (member === undefined || member.worker.isLeaving || this.#judge.wasTried(claimant)) return
      this.#judge.trialBegun(claimant, (failure) => {
        if (failure !== null)
          this.process.setTimer(this.#random.int(0, 50), () => this.#giveBack(claimant, failure))
      })
      this.#handle({ type: 'tryOut', claimant })
      const decide = (left: number): void => {
        if (this.#judge.isTrialOver(claimant) || !this.members.has(claimant)) return
        // What it is to hold is still on its way.
        if (this.#judge.isTrying(claimant)) this.process.setTimer(500, () => decide(left))
        else if (outcome === 'keep') this.#keep(claimant)
        else this.#giveBack(claimant, 'it is not wanted')
      }
      this.process.setTimer(watch, () => decide(watch))
    })
  }

  #keep(claimant: number): void {
    this.#judge.trialOver(claimant, 'keep')
    this.#handle({ type: 'keep', claimant })
    const { generation } = this.members.get(claimant)?.worker ?? { generation: 0 }
    for (const { worker } of this.members.values())
      if (worker.generation < generation && this.#random.chance(0.7)) this.leave(worker.number)
  }

  #giveBack(claimant: number, why: string): void {
    if (this.#judge.isTrialOver(claimant)) return
    this.#judge.trialOver(claimant, 'give back')
    this.#handle({ type: 'giveBack', claimant, why })
    if (this.#random.chance(0.8))
      this.process.setTimer(this.#random.int(0, 2_000), () => this.leave(claimant))
  }

  distrust(generation: number): void {
    this.process.receive(0, () => {
      for (const { worker } of this.members.values())
        if (worker.generation === generation && this.arbiter.state.claimants[worker.number] !== undefined)
          this.#judge.trialOver(worker.number, 'give back')
      this.#handle({ type: 'distrusted', generation, why: 'it turned out bad' })
    })
  }

  // --- The arbiter ----------------------------------------------------------------------------------------------

  #receive(claimant: number, message: ToPrimary): void {
    if (message.type !== 'beat') return this.#handle({ ...message, claimant })
    this.#handle({ type: 'renewed', claimant })
    this.members.get(claimant)?.toWorker.send({ type: 'answer', number: message.number })
  }

  #exited(claimant: number): void {
    this.members.delete(claimant)
    this.#judge.exited(claimant)
    this.#handle({ type: 'exited', claimant })
  }

  #handle(event: ArbiterEvent): void {
    const { now } = this.#loop
    const effects = this.arbiter.handle(event, now)
    this.#judge.handled(event, effects, this)
    for (const effect of effects) this.#carryOut(effect)
    this.#setTimer()
  }

  #setTimer(): void {
    const dueAt = this.arbiter.nextDeadline()
    if (this.#timer !== null) {
      if (!this.#timer.isCleared && this.#timer.at === dueAt) return
      this.#timer.isCleared = true
      this.#timer = null
    }
    if (dueAt === null) return
    const timer = this.process.setTimer(dueAt - this.#loop.now, () => {
      const tick = (): void => {
        if (timer.isCleared) return
        timer.isCleared = true
        this.#handle({ type: 'tick' })
        this.#judge.ticked(this.arbiter.nextDeadline())
      }
      if (this.#readsFirst) this.process.receive(0, tick)
      else tick()
    })
    this.#timer = timer
  }

  #carryOut(effect: ArbiterEffect): void {
    const to = 'claimant' in effect ? this.members.get(effect.claimant) : undefined
    switch (effect.type) {
      case 'grant':
        return to?.toWorker.send({ type: 'granted', claim: effect.claim, grant: effect.grant })
      case 'revoke': {
        const { claim, grant, why, budget } = effect
        return to?.toWorker.send({ type: 'revoked', claim, grant, why, budget })
      }
      case 'kill':
        this.#loop.after(this.#random.int(0, 20), () => to?.worker.process.die())
    }
  }
}
