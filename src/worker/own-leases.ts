// Leases of a process without a primary of ours: a plain script, a process of pm2, a worker of somebody else's cluster.
// Only the machine's lease is there. Whoever stands by keeps its messages: it has nobody to hand them to.

import { type ClaimEffect, type ClaimEvent, LeaseClaimCore } from '../lease/claim.js'
import type { LeaseClaim, LeaseListener, LeaseProvider, LeaseRequest } from '../shared/lease-provider.js'
import { MachineStage } from './machine-stage.js'

export const ownLeases: LeaseProvider = {
  claim: (request, listener) => new OwnClaim(request, listener),
}

class OwnClaim implements LeaseClaim {
  readonly #listener: LeaseListener
  readonly #core = new LeaseClaimCore()
  readonly #machine: MachineStage
  readonly #ended: Promise<void>
  #tellEnded: () => void = () => {}
  #isHeld = false

  constructor(request: LeaseRequest, listener: LeaseListener) {
    this.#listener = listener
    this.#machine = new MachineStage(
      { ...request, slot: null, supervisor: null },
      {
        held: (epoch) => this.#handle({ type: 'machineHeld', epoch }),
        lost: (why) => this.#handle({ type: 'machineLost', why }),
        free: () => this.#handle({ type: 'machineFree' }),
        standsBy: (owner) => listener.standsBy(owner),
      },
    )
    this.#ended = new Promise((resolve) => {
      this.#tellEnded = resolve
    })
    this.#stand()
  }

  isHeld(): boolean {
    return this.#isHeld && this.#machine.isHeld()
  }

  // There is nobody to be told.
  opened(): void {}
  failed(): void {}
  broadcast(): void {}
  closeLinks(): void {}
  need(): void {}

  letGo(isSuperseded: boolean): void {
    this.#handle({ type: 'letGo', isSuperseded })
  }

  end(): Promise<void> {
    this.#handle({ type: 'end' })
    return this.#ended
  }

  askToLeave(): void {
    queueMicrotask(() => this.#listener.mayLeave())
  }

  /** Superseded, it is out of the line until somebody insists. */
  insist(): void {
    this.#stand()
  }

  #stand(): void {
    // Not within the call that claims it: nothing is told before that has returned.
    queueMicrotask(() => this.#handle({ type: 'granted', grant: 0 }))
  }

  #handle(event: ClaimEvent): void {
    for (const effect of this.#core.handle(event, false)) this.#carryOut(effect)
  }

  #carryOut(effect: ClaimEffect): void {
    switch (effect.type) {
      case 'takeMachine':
        return this.#machine.take()
      case 'freeMachine':
        this.#isHeld = false
        return this.#machine.free(false)
      case 'tellReleased':
        if (!effect.isSuperseded) this.#stand()
        return
      case 'tellWithdrawn':
        return this.#tellEnded()
      case 'mayUse':
        this.#isHeld = true
        return this.#listener.granted(effect.epoch)
      case 'closeWithin':
        return this.#listener.revoked(effect.why, effect.budget)
      case 'destroy':
        this.#isHeld = false
        return this.#listener.lost(effect.why)
    }
  }
}
