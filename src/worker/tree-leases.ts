// Leases of a supervised worker: the primary says whose turn it is, then the machine's lease is taken, in this process,
// which owns the connection. Decisions are in src/lease/claim.ts and fence.ts; here they are carried out.
// Without a primary: own-leases.ts.

import { type ClaimEffect, type ClaimEvent, LeaseClaimCore } from '../lease/claim.js'
import { Fence } from '../lease/fence.js'
import { FENCE_CLOSE, HEARTBEAT } from '../lease/timing.js'
import { monotonicNow } from '../shared/clock.js'
import { MAX_CLAIMS, type PrimaryLeaseMessage, type WorkerLeaseMessage } from '../shared/lease-protocol.js'
import type {
  LeaseClaim,
  LeaseLink,
  LeaseListener,
  LeaseProvider,
  LeaseRequest,
} from '../shared/lease-provider.js'
import { settledWithin } from '../shared/settled-within.js'
import { MachineStage } from './machine-stage.js'

/** ms for which a worker is not ready yet because it still prepares to take something over. */
const PREPARATION = 1_000

export interface TreeLeasesOptions {
  /** Never throws. */
  tell(message: WorkerLeaseMessage): void
  /** One dial there need not ask for its turn. */
  mayDial(origin: string): void
  slot: number
  /** Name of our supervisor. */
  supervisor: string
}

export class TreeLeases {
  readonly #options: TreeLeasesOptions
  readonly #claims = new Map<number, TreeClaim>()
  readonly #fence = new Fence()
  readonly #preparations = new Set<Promise<void>>()
  #lastClaim = 0
  #heartbeat: NodeJS.Timeout | undefined
  #watch: NodeJS.Timeout | undefined
  #isOrphaned = false

  constructor(options: TreeLeasesOptions) {
    this.#options = options
  }

  readonly provider: LeaseProvider = {
    prepare: (work) => this.#prepare(work()),
    claim: (request, listener) => this.#stand(request, listener),
  }

  /** Settles when this worker is as quick to take something over as it will be; null: there is nothing to wait for. */
  get prepared(): Promise<unknown> | null {
    return this.#preparations.size === 0
      ? null
      : settledWithin(Promise.allSettled(this.#preparations), PREPARATION)
  }

  #prepare(work: Promise<void>): void {
    const isOver = (): void => void this.#preparations.delete(work)
    this.#preparations.add(work)
    work.then(isOver, isOver)
  }

  #stand(request: LeaseRequest, listener: LeaseListener): LeaseClaim {
    const number = ++this.#lastClaim
    const claim = new TreeClaim(number, request, listener, {
      ...this.#options,
      isFenced: () => this.#isFenced(),
      isTooLate: () => monotonicNow() >= this.#fence.deadline + FENCE_CLOSE,
      ended: () => this.#forget(number),
    })
    if (this.#claims.size >= MAX_CLAIMS)
      process.emitWarning(
        `${request.kind} ${request.identity}: this worker stands in line for ${MAX_CLAIMS} things, and the primary takes no more: it will not be granted`,
        { type: 'ForksafeWarning', code: 'FORKSAFE_WARN_LEASE' },
      )
    this.#claims.set(number, claim)
    this.#prepare(claim.prepared)
    const { kind, identity, name, origin } = request
    const renewal = this.#fence.sending(monotonicNow())
    if (this.#isOrphaned) queueMicrotask(() => listener.orphaned())
    else this.#options.tell({ do: 'claim', claim: number, kind, identity, name, origin, renewal })
    this.#heartbeat ??= setInterval(() => this.#renew(), HEARTBEAT).unref()
    return claim
  }

  received(message: PrimaryLeaseMessage): void {
    if (message.do === 'renewed') return this.#renewed(message.renewal)
    this.#claims.get(message.claim)?.received(message)
  }

  /** The channel is closed: what we hold stays ours until we give it back, and nobody grants us anything more. */
  closed(): void {
    this.#isOrphaned = true
    clearInterval(this.#heartbeat)
    clearTimeout(this.#watch)
    for (const claim of [...this.#claims.values()]) claim.orphaned()
  }

  #renew(): void {
    this.#options.tell({ do: 'renew', renewal: this.#fence.sending(monotonicNow()) })
  }

  #renewed(number: number): void {
    this.#fence.answered(number)
    if (this.#isFenced()) return
    for (const claim of this.#claims.values()) claim.handle({ type: 'fenceMoved' })
    clearTimeout(this.#watch)
    const ms = Math.max(0, this.#fence.deadline - monotonicNow())
    // What came in meanwhile is read first: an answer may be among it.
    this.#watch = setTimeout(() => setImmediate(() => this.#fencePassed()), ms).unref()
  }

  #fencePassed(): void {
    if (!this.#isFenced()) return
    for (const claim of [...this.#claims.values()]) claim.isHeld()
  }

  #isFenced(): boolean {
    return !this.#isOrphaned && this.#fence.isPassed(monotonicNow())
  }

  #forget(number: number): void {
    this.#claims.delete(number)
    if (this.#claims.size > 0) return
    clearInterval(this.#heartbeat)
    clearTimeout(this.#watch)
    this.#heartbeat = undefined
  }
}

interface TreeClaimOptions extends TreeLeasesOptions {
  isFenced(): boolean
  /** Whether the fence passed so long ago that nothing may be written any more, not even a Close frame. */
  isTooLate(): boolean
  ended(): void
}

class TreeClaim implements LeaseClaim {
  readonly #number: number
  readonly #origin: string | null
  readonly #listener: LeaseListener
  readonly #options: TreeClaimOptions
  readonly #core = new LeaseClaimCore()
  readonly #machine: MachineStage
  readonly #links = new Map<number, LeaseLink>()
  readonly #ended: Promise<void>
  #tellEnded: () => void = () => {}
  #isOrphaned = false
  /** Whether standbys may have links to us. */
  #isShared = false

  constructor(number: number, request: LeaseRequest, listener: LeaseListener, options: TreeClaimOptions) {
    this.#number = number
    this.#origin = request.origin
    this.#listener = listener
    this.#options = options
    const { slot, supervisor } = options
    this.#machine = new MachineStage(
      { ...request, slot, supervisor },
      {
        held: (epoch) => this.handle({ type: 'machineHeld', epoch }),
        lost: (why) => this.handle({ type: 'machineLost', why }),
        free: () => this.handle({ type: 'machineFree' }),
        standsBy: (owner) => {
          const { grant } = this.#core.state
          if (owner !== null && grant !== null) this.#tell({ do: 'blocked', claim: number, grant, owner })
          listener.standsBy(owner)
        },
      },
    )
    this.#ended = new Promise((resolve) => {
      this.#tellEnded = resolve
    })
  }

  get prepared(): Promise<void> {
    return this.#machine.prepared
  }

  // --- For whoever uses it --------------------------------------------------------------------------------------

  isHeld(): boolean {
    const { phase } = this.#core.state
    const isOurs = phase === 'held' || phase === 'closing'
    if (!isOurs || !this.#machine.isHeld()) return false
    if (!this.#options.isFenced()) return true
    const isLate = this.#options.isTooLate()
    this.handle({ type: 'fencePassed', isLate })
    return !isLate
  }

  opened(): void {
    const { grant, epoch } = this.#core.state
    if (grant === null || epoch === null) return
    this.#isShared = true
    this.#tell({ do: 'opened', claim: this.#number, grant, epoch })
  }

  failed(why: string): void {
    const { grant } = this.#core.state
    if (grant !== null) this.#tell({ do: 'failed', claim: this.#number, grant, why: why.slice(0, 1_000) })
  }

  broadcast(payload: unknown): void {
    this.#tell({ do: 'broadcast', claim: this.#number, payload })
  }

  closeLinks(): void {
    if (this.#isShared) this.#tell({ do: 'closeLinks', claim: this.#number })
    this.#isShared = false
  }

  letGo(isSuperseded: boolean): void {
    this.handle({ type: 'letGo', isSuperseded })
  }

  end(): Promise<void> {
    this.handle({ type: 'end' })
    return this.#ended
  }

  need(): void {
    this.#tell({ do: 'need', claim: this.#number })
  }

  insist(): void {
    this.#tell({ do: 'insist', claim: this.#number })
  }

  askToLeave(): void {
    this.#tell({ do: 'askToLeave', claim: this.#number })
  }

  // --- What happens ---------------------------------------------------------------------------------------------

  received(message: Exclude<PrimaryLeaseMessage, { do: 'renewed' }>): void {
    switch (message.do) {
      case 'grant':
        if (message.mayDial && this.#origin !== null) this.#options.mayDial(this.#origin)
        return this.handle({ type: 'granted', grant: message.grant })
      case 'revoke':
        return this.handle({
          type: 'revoked',
          grant: message.grant,
          why: message.why,
          budget: message.budget,
        })
      case 'owner':
        return this.#listener.standsBy(message.owner)
      case 'mayLeave':
        return this.#listener.mayLeave()
      case 'linkOpened':
        return this.#linkOpened(message.link)
      case 'linkData': {
        const link = this.#links.get(message.link)
        if (link !== undefined) this.#listener.linkReceived(link, message.payload)
        return
      }
      case 'linkClosed': {
        const link = this.#links.get(message.link)
        this.#links.delete(message.link)
        if (link !== undefined) this.#listener.linkClosed(link)
      }
    }
  }

  orphaned(): void {
    this.#isOrphaned = true
    for (const [id, link] of this.#links) {
      this.#links.delete(id)
      this.#listener.linkClosed(link)
    }
    this.#listener.orphaned()
  }

  handle(event: ClaimEvent): void {
    for (const effect of this.#core.handle(event, this.#options.isFenced())) this.#carryOut(effect)
  }

  #carryOut(effect: ClaimEffect): void {
    switch (effect.type) {
      case 'takeMachine':
        return this.#machine.take()
      case 'freeMachine':
        return this.#machine.free(!this.#core.state.isFinal)
      case 'tellReleased': {
        const { grant, isSuperseded } = effect
        return this.#tell({ do: 'release', claim: this.#number, grant, isSuperseded })
      }
      case 'tellWithdrawn':
        this.#tell({ do: 'withdraw', claim: this.#number })
        this.#options.ended()
        return this.#tellEnded()
      case 'mayUse':
        return this.#listener.granted(effect.epoch)
      case 'closeWithin':
        return this.#listener.revoked(effect.why, effect.budget)
      case 'destroy':
        return this.#listener.lost(effect.why)
    }
  }

  #linkOpened(id: number): void {
    const link: LeaseLink = {
      id,
      send: (payload) => this.#tell({ do: 'linkData', claim: this.#number, link: id, payload }),
    }
    this.#links.set(id, link)
    this.#listener.linkOpened(link)
  }

  #tell(message: WorkerLeaseMessage): void {
    if (!this.#isOrphaned) this.#options.tell(message)
  }
}
