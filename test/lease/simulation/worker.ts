// A simulated worker: claims, heartbeats while it holds something, the fence, and its way out. A plain script is a worker
// without a primary: nobody grants it anything, it goes to the machine stage by itself.

import type { Fence } from '../../../src/lease/fence.js'
import { FENCE_CLOSE, HEARTBEAT } from '../../../src/lease/timing.js'
import type { Random } from '../../campaign/random.js'
import { ClaimShell } from './claim-shell.js'
import type { Cores } from './cores.js'
import type { Due, Loop } from './loop.js'
import type { MachineLease } from './machine.js'
import type { ClaimNews, ToPrimary, ToWorker } from './messages.js'
import { SimProcess } from './sim-process.js'
import type { Upstream } from './upstream.js'

export interface WorkerWorld {
  loop: Loop
  random: Random
  cores: Cores
  upstream: Upstream
  machineOf(identity: string): MachineLease
  mayUse(worker: Worker, shell: ClaimShell, epoch: number): void
}

export class Worker {
  readonly number: number
  readonly generation: number
  readonly process: SimProcess
  readonly fence: Fence
  readonly shells: ClaimShell[] = []
  /** Null: a plain script. */
  send: ((message: ToPrimary) => void) | null = null
  /** What the judge believes of the fence: when the last heartbeat that was answered was sent. */
  provedAt = Number.NEGATIVE_INFINITY
  /** When the last heartbeats were sent. */
  beats: readonly number[] = []
  isLeaving = false
  /** The channel is gone: nobody will grant anything any more. */
  isCutOff = false
  readonly #world: WorkerWorld
  readonly #sentAt = new Map<number, number>()
  #claims = 0
  #beat: Due | null = null
  #fenceTimer: Due | null = null

  constructor(world: WorkerWorld, number: number, generation: number) {
    this.#world = world
    this.number = number
    this.generation = generation
    this.process = new SimProcess(world.loop, `w${number}`)
    this.fence = new world.cores.Fence()
  }

  claim(identity: string): void {
    if (this.isLeaving || this.shells.some((shell) => shell.identity === identity && !isOver(shell))) return
    const { cores, random, upstream } = this.#world
    const shell: ClaimShell = new ClaimShell({
      ...{ cores, random, upstream, identity, process: this.process, number: ++this.#claims },
      machine: this.#world.machineOf(identity),
      duties: {
        tell: (news) => this.#tell(shell, news),
        checkFence: () => this.#checkFence(),
        isFenced: () => this.#isFenced(),
        phaseChanged: () => this.#phaseChanged(shell),
        mayUse: (of, epoch) => this.#world.mayUse(this, of, epoch),
      },
    })
    this.shells.push(shell)
    if (this.send === null) shell.handle({ type: 'granted', grant: 1 })
    else this.send({ type: 'claimed', claim: shell.number, lease: shell.lease })
  }

  withdraw(identity: string): void {
    for (const shell of this.#alive(identity)) this.#end(shell)
  }

  need(identity: string): void {
    for (const { number: claim } of this.#alive(identity)) this.send?.({ type: 'needed', claim })
  }

  insist(identity: string): void {
    for (const { number: claim } of this.#alive(identity)) this.send?.({ type: 'insisted', claim })
  }

  #alive(identity: string): ClaimShell[] {
    return this.shells.filter((shell) => shell.identity === identity && !isOver(shell))
  }

  receive(message: ToWorker): void {
    if (message.type === 'answer') return this.#answered(message.number)
    if (message.type === 'leave') return this.#leave()
    const shell = this.shells.find(({ number }) => number === message.claim)
    if (shell === undefined) return
    shell.handle(message)
  }

  /** The channel is gone. */
  cutOff(): void {
    this.isCutOff = true
    // Nothing will come of it: what is held is closed when the fence passes, or at once.
    this.process.setTimer(this.#world.random.pick([0, 100, 9_000]), () => this.#leave())
  }

  #leave(): void {
    if (this.isLeaving) return
    this.isLeaving = true
    this.process.setTimer(this.#world.random.int(0, 3_000), () => {
      for (const shell of this.shells) if (!isOver(shell)) this.#end(shell)
      this.#exitWhenDone()
    })
  }

  #end(shell: ClaimShell): void {
    shell.user.end()
  }

  #exitWhenDone(): void {
    if (this.isLeaving && this.shells.every(isOver)) this.process.setTimer(5, () => this.process.die())
  }

  #tell(shell: ClaimShell, news: ClaimNews): void {
    if (this.send !== null) return this.send(news)
    if (news.type === 'released')
      this.process.setTimer(this.#world.random.int(100, 4_000), () => {
        if (shell.phase === 'waiting') shell.handle({ type: 'granted', grant: news.grant + 1 })
      })
  }

  #phaseChanged(shell: ClaimShell): void {
    if (isOver(shell)) this.#exitWhenDone()
    if (this.send === null) return
    if (isBusy(shell) && this.#beat === null) this.#sendBeat()
  }

  // --- The fence ------------------------------------------------------------------------------------------------

  #isFenced(): boolean {
    return this.send !== null && this.fence.isPassed(this.#world.loop.now)
  }

  #sendBeat(): void {
    const { now } = this.#world.loop
    const number = this.fence.sending(now)
    this.#sentAt.set(number, now)
    this.beats = [...this.beats.slice(-7), now]
    this.send?.({ type: 'beat', number })
    this.#beat = this.process.setTimer(HEARTBEAT, () => {
      this.#beat = null
      if (this.shells.some(isBusy)) this.#sendBeat()
    })
  }

  #answered(number: number): void {
    this.provedAt = Math.max(this.provedAt, this.#sentAt.get(number) ?? Number.NEGATIVE_INFINITY)
    this.#sentAt.delete(number)
    this.fence.answered(number)
    if (this.#isFenced()) return
    if (this.#fenceTimer !== null) this.#fenceTimer.isCleared = true
    this.#fenceTimer = this.process.setTimer(this.fence.deadline - this.#world.loop.now, () =>
      this.#checkFence(),
    )
    for (const shell of this.shells) if (shell.phase === 'fenced') shell.handle({ type: 'fenceMoved' })
  }

  #checkFence(): void {
    if (!this.#isFenced()) return
    const isLate = this.#world.loop.now >= this.fence.deadline + FENCE_CLOSE
    for (const shell of this.shells)
      if (shell.phase === 'held' || (isLate && shell.user.hasConnection))
        shell.handle({ type: 'fencePassed', isLate })
  }
}

const isOver = (shell: ClaimShell): boolean => shell.phase === 'ended'

const isBusy = (shell: ClaimShell): boolean => shell.phase !== 'ended' && shell.phase !== 'waiting'
