// A claim in a simulated process: the real core, the machine stage, and a user of the lease. It does what the shell in a
// worker does: effects are carried out in their order, and what comes back is told to the core.

import type { ClaimEffect, ClaimEvent, LeaseClaimCore } from '../../../src/lease/claim.js'
import type { Random } from '../../campaign/random.js'
import type { Cores } from './cores.js'
import type { MachineLease } from './machine.js'
import type { ClaimNews } from './messages.js'
import type { SimProcess } from './sim-process.js'
import type { Upstream } from './upstream.js'
import { LeaseUser } from './user.js'

/** Beside being told that it is free. */
const POLL = 1_000
/** Waiting for so long for the machine stage is told to the primary. */
const BLOCKED_AFTER = 300

export interface ClaimDuties {
  tell(news: ClaimNews): void
  /** Looks whether the fence has passed, and tells all claims so. */
  checkFence(): void
  isFenced(): boolean
  phaseChanged(shell: ClaimShell): void
  mayUse(shell: ClaimShell, epoch: number): void
}

export class ClaimShell {
  readonly identity: string
  readonly number: number
  readonly core: LeaseClaimCore
  readonly user: LeaseUser
  readonly #process: SimProcess
  readonly #machine: MachineLease
  readonly #duties: ClaimDuties
  #tries = 0

  constructor(options: {
    cores: Cores
    process: SimProcess
    machine: MachineLease
    upstream: Upstream
    random: Random
    identity: string
    number: number
    duties: ClaimDuties
  }) {
    const { cores, process, machine, upstream, random, identity, number, duties } = options
    this.identity = identity
    this.number = number
    this.core = new cores.LeaseClaimCore()
    this.#process = process
    this.#machine = machine
    this.#duties = duties
    this.user = new LeaseUser(process, upstream, random, identity, {
      isHeld: () => {
        duties.checkFence()
        return this.core.state.phase === 'held'
      },
      mayClose: () => {
        duties.checkFence()
        return this.user.hasConnection
      },
      opened: () => this.#tellOfGrant((grant) => ({ type: 'opened', claim: number, grant })),
      failed: (why) => this.#tellOfGrant((grant) => ({ type: 'failed', claim: number, grant, why })),
      letGo: (isSuperseded) => this.handle({ type: 'letGo', isSuperseded }),
      end: () => this.handle({ type: 'end' }),
    })
  }

  get lease(): string {
    return `client ${this.identity}`
  }

  get phase(): string {
    return this.core.state.phase
  }

  handle(event: ClaimEvent): void {
    for (const effect of this.core.handle(event, this.#duties.isFenced())) this.#carryOut(effect)
    this.#duties.phaseChanged(this)
  }

  #carryOut(effect: ClaimEffect): void {
    switch (effect.type) {
      case 'takeMachine':
        return this.#process.receive(1, () => this.#take(++this.#tries, 0))
      case 'freeMachine':
        this.#tries++
        this.#machine.free(this.#process)
        return this.#process.receive(1, () => this.handle({ type: 'machineFree' }))
      case 'tellReleased': {
        const { grant, isSuperseded } = effect
        return this.#duties.tell({ type: 'released', claim: this.number, grant, isSuperseded })
      }
      case 'tellWithdrawn':
        return this.#duties.tell({ type: 'withdrawn', claim: this.number })
      case 'mayUse':
        this.#duties.mayUse(this, effect.epoch)
        return this.user.mayUse(effect.epoch)
      case 'closeWithin':
        return this.user.closeWithin(effect.budget)
      case 'destroy':
        return this.user.destroy()
    }
  }

  #take(attempt: number, waited: number): void {
    if (attempt !== this.#tries || this.phase !== 'taking') return
    const epoch = this.#machine.tryTake(this.#process, () => this.#take(++this.#tries, waited))
    if (epoch !== null) return this.handle({ type: 'machineHeld', epoch })
    this.#process.setTimer(waited === 0 ? BLOCKED_AFTER : POLL, () => {
      if (attempt !== this.#tries || this.phase !== 'taking') return
      if (waited === 0) this.#tellOfGrant((grant) => ({ type: 'blocked', claim: this.number, grant }))
      this.#take(++this.#tries, waited + 1)
    })
  }

  #tellOfGrant(news: (grant: number) => ClaimNews): void {
    const { grant } = this.core.state
    if (grant !== null) this.#duties.tell(news(grant))
  }
}
