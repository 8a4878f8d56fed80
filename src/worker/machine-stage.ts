// The machine's lease for one claim: taken and given back as it is told, one deed after the other. What it is stands in
// src/lease/machine-lease.ts, which is loaded only by a process that claims something.

import type { MachineHold, MachineOwner, OwnerDetails } from '../lease/machine-lease.js'
import { pause } from '../lease/pause.js'
import { messageOf } from '../shared/errors.js'
import type { LeaseOwner, LeaseRequest } from '../shared/lease-provider.js'
import { type ProcessIdentity, processIdentity } from '../shared/process-identity.js'

export interface MachineStageEvents {
  held(epoch: number): void
  lost(why: string): void
  /** Given back, or not taken after all. */
  free(): void
  standsBy(owner: LeaseOwner | null): void
}

export interface MachineStageRequest extends LeaseRequest {
  slot: number | null
  /** Name of the supervisor that this process is a worker of. */
  supervisor: string | null
}

const RETRY = 1_000

type Machine = typeof import('../lease/machine-lease.js')

let machine: Machine | undefined

/** Kept: import() of what is there already waits for a turn of its own. */
const load = async (): Promise<Machine> => {
  machine ??= await import('../lease/machine-lease.js')
  return machine
}

export class MachineStage {
  readonly #request: MachineStageRequest
  readonly #events: MachineStageEvents
  readonly #supervisor: (ProcessIdentity & { name: string }) | null
  #taking: AbortController | null = null
  #hold: MachineHold | null = null
  #complaint = ''
  /** Settles when taking it for the first time will be as fast as later. */
  readonly prepared: Promise<void>

  constructor(request: MachineStageRequest, events: MachineStageEvents) {
    this.#request = request
    this.#events = events
    const { supervisor } = request
    this.#supervisor = supervisor === null ? null : { name: supervisor, ...processIdentity(process.ppid) }
    // Ahead of its turn: a handover waits for nothing that can be done before.
    this.prepared = load().then(({ prepareMachineLease }) => {
      prepareMachineLease()
      if (this.#supervisor !== null) return rehearseOnce(this.#details)
    })
    this.prepared.catch(() => {})
  }

  take(): void {
    const abort = new AbortController()
    this.#taking = abort
    void this.#takeUntilHeld(abort.signal).then((hold) => {
      this.#taking = null
      if (hold === null) return this.#events.free()
      if (abort.signal.aborted) return this.#giveBack(hold)
      this.#hold = hold
      this.#events.held(hold.epoch)
    })
  }

  /** Looks as well: without a kernel lock it may have passed, which has been told by the time this returns. */
  isHeld(): boolean {
    return this.#hold?.isHeld() ?? false
  }

  /** @param isAwaited whether others wait for it, as in a handover. */
  free(isAwaited: boolean): void {
    if (this.#taking !== null) return this.#taking.abort()
    const hold = this.#hold
    this.#hold = null
    this.#giveBack(hold, isAwaited)
  }

  /** It is free for others when the call returns: whatever closes behind it, nobody has to wait for. */
  #giveBack(hold: MachineHold | null, isAwaited = false): void {
    void hold?.release({ isAwaited })
    queueMicrotask(() => this.#events.free())
  }

  get #details(): OwnerDetails {
    const { kind, identity, name, origin, slot } = this.#request
    return { kind, identity, name, origin, slot, supervisor: this.#supervisor }
  }

  /** A folder that cannot be used may be put right: it is tried again, and told once. @returns null when aborted. */
  async #takeUntilHeld(signal: AbortSignal): Promise<MachineHold | null> {
    while (!signal.aborted) {
      try {
        return await this.#take(signal)
      } catch (error) {
        if (signal.aborted) break
        this.#complain(messageOf(error))
        await pause(RETRY, { signal, keepsAlive: true }).catch(() => {})
      }
    }
    return null
  }

  async #take(signal: AbortSignal): Promise<MachineHold> {
    const { takeMachineLease } = await load()
    return takeMachineLease(
      { ...this.#details, keepsAlive: true },
      {
        signal,
        onStandsBy: (owner) => this.#events.standsBy(owner === null ? null : asLeaseOwner(owner)),
        onLost: (why) => {
          this.#hold = null
          this.#events.lost(why)
        },
        onTrouble: (text) => this.#complain(text),
      },
    )
  }

  #complain(text: string): void {
    if (text === this.#complaint) return
    this.#complaint = text
    const { kind, identity } = this.#request
    process.emitWarning(`lease of ${kind} ${identity}: ${text}`, {
      type: 'ForksafeWarning',
      code: 'FORKSAFE_WARN_LEASE',
    })
  }
}

let rehearsal: Promise<void> | undefined

/** What is handed over goes from process to process, and each of them begins cold. */
const rehearseOnce = async (details: OwnerDetails): Promise<void> => {
  rehearsal ??= load().then(({ rehearseMachineLease }) => rehearseMachineLease(details))
  return rehearsal
}

const asLeaseOwner = ({ pid, supervisor, slot, epoch, since, origin }: MachineOwner): LeaseOwner => ({
  ...{ pid, slot, epoch, since, origin },
  supervisor: supervisor?.name ?? null,
  isOurs: false,
})
