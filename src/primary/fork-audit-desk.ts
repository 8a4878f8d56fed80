// Looks at the sockets of primary and workers after each fork and once more when a worker is ready, and says what it
// found. What is a finding: src/fork/fork-audit.ts; what becomes of a worker in strict mode: the core, as of one that
// misbehaved. No fork waits for a look, and none fails for one: where there is no /proc nothing is seen.
//
// The usual look is a listing of descriptors, no more. The kernel's tables are read only where one is not known: a socket
// of the primary that is new since the last look, or one that two processes hold.

import { setTimeout as delay } from 'node:timers/promises'
import { BETWEEN_LOOKS } from '../audit/audit-looks.js'
import { socketInodesOf } from '../audit/socket-inodes.js'
import type { ProcessSockets } from '../audit/socket-table.js'
import { takeSnapshot } from '../audit/take-snapshot.js'
import {
  type AuditedWorker,
  type ForkEvidence,
  type ForkFinding,
  forkFindings,
  listeningOn,
  type SocketInodes,
  sharedInodes,
} from '../fork/fork-audit.js'
import { isInheritable } from '../fork/inherited-sockets.js'
import { monotonicNow } from '../shared/clock.js'
import { messageOf } from '../shared/errors.js'
import type { Finding } from '../shared/finding.js'

export interface ForkAuditActions {
  /** All that live now. */
  workers(): AuditedWorker[]
  /** At which the primary has the channels and the output of its workers. */
  descriptors(): number[]
  isStrict(generation: number): boolean
  /** Called once for each distinct finding. */
  found(finding: Finding): void
  /** It shall be replaced. */
  reject(id: number, reason: string): void
  /** A look is over. */
  looked(pids: number[], ms: number): void
  /** The look itself failed. */
  failed(reason: string): void
}

const MOST_FINDINGS = 50

export class ForkAuditDesk {
  readonly #actions: ForkAuditActions
  readonly #findings = new Map<string, Finding>()
  readonly #due = new Set<number>()
  /** Forked in the window that is open. */
  #forked: number[] = []
  #atFork: { inodes: SocketInodes; ids: number[] }[] = []
  #isLooking = false
  #hasEnded = false
  /** Sockets of the primary that are no connections, and never will be. */
  #harmless = new Set<number>()
  /** Ports and paths on which the primary listens or has listened: what came in on them is not its own. */
  readonly #listening = new Set<number | string>()

  constructor(actions: ForkAuditActions) {
    this.#actions = actions
  }

  /** The latest {@link MOST_FINDINGS} distinct ones, oldest first. */
  get findings(): Finding[] {
    return [...this.#findings.values()]
  }

  forked(id: number): void {
    this.#forked.push(id)
  }

  /**
   * To be awaited in the fork window, behind the fork: notes what the primary holds before it opens its clients again.
   *
   * @param signal aborted: they are being opened, and what is seen now may be theirs.
   */
  async inWindow(signal: AbortSignal): Promise<void> {
    const ids = this.#forked.splice(0)
    if (ids.length === 0 || this.#hasEnded) return
    const inodes = await socketInodesOf(process.pid)
    const descriptors = new Set(this.#actions.descriptors())
    const others = [...inodes].filter(([inode, fd]) => !descriptors.has(fd) && !this.#harmless.has(inode))
    if (!signal.aborted && others.length > 0) this.#atFork.push({ inodes: new Map(others), ids })
    this.#look(ids)
  }

  /** By then a worker has what it opens, or is given, at its start. */
  ready(pid: number): void {
    this.#look(
      this.#actions
        .workers()
        .filter((worker) => worker.pid === pid)
        .map(({ id }) => id),
    )
  }

  #look(ids: readonly number[]): void {
    for (const id of ids) this.#due.add(id)
    if (!this.#isLooking && !this.#hasEnded) void this.#lookWhileDue()
  }

  end(): void {
    this.#hasEnded = true
  }

  async #lookWhileDue(): Promise<void> {
    this.#isLooking = true
    while (this.#due.size > 0 && !this.#hasEnded) {
      const under = new Set(this.#due)
      this.#due.clear()
      const begunAt = monotonicNow()
      const pids = this.#actions.workers().flatMap(({ id, pid }) => (under.has(id) ? [pid] : []))
      try {
        await this.#lookTwice(under)
        this.#actions.looked(pids, monotonicNow() - begunAt)
      } catch (error) {
        this.#actions.failed(messageOf(error))
      }
    }
    this.#isLooking = false
  }

  /** What is on its way is in two processes for a moment, and what has just been closed stands for one: a fault stays. */
  async #lookTwice(under: ReadonlySet<number>): Promise<void> {
    const atFork = this.#atFork.splice(0)
    const suspected = new Set((await this.#judge(under, atFork)).map(({ key }) => key))
    if (suspected.size === 0) return
    await delay(BETWEEN_LOOKS, undefined, { ref: false })
    const still = await socketInodesOf(process.pid)
    const heldSince = atFork.map(({ inodes, ids }) => ({
      inodes: new Map([...inodes].filter(([inode]) => still.has(inode))),
      ids,
    }))
    for (const one of await this.#judge(under, heldSince)) if (suspected.has(one.key)) this.#tell(one)
  }

  async #judge(under: ReadonlySet<number>, atFork: ForkEvidence['atFork']): Promise<ForkFinding[]> {
    const workers = this.#actions.workers()
    const held = new Map<number, SocketInodes>()
    for (const pid of [process.pid, ...workers.map((worker) => worker.pid)])
      held.set(pid, await socketInodesOf(pid))
    const shared = sharedInodes([...held.values()])
    if (shared.size === 0 && atFork.length === 0) return []

    const holders = [...held].filter(([, inodes]) => [...shared].some((inode) => inodes.has(inode)))
    const pids = new Set([process.pid, ...holders.map(([pid]) => pid)])
    const { processes } = await takeSnapshot([...pids], { source: 'proc' })
    for (const own of processes) if (own.pid === process.pid) this.#learn(own)
    return forkFindings({
      primary: process.pid,
      workers,
      under,
      shared,
      atFork,
      processes,
      listening: this.#listening,
      isInherited: isInheritable,
    })
  }

  /** Anew each time, so that an inode whose socket is gone, and which may come again, is not kept. */
  #learn(own: ProcessSockets): void {
    const harmless = own.sockets.filter(({ kind, state }) => kind === 'unix' || state === 'listen')
    this.#harmless = new Set(harmless.map(({ inode }) => inode))
    for (const where of listeningOn(own)) this.#listening.add(where)
  }

  #tell({ key, finding, ids }: ForkFinding): void {
    if (this.#hasEnded) return
    const isNew = !this.#findings.delete(key)
    this.#findings.set(key, finding)
    for (const oldest of this.#findings.keys()) {
      if (this.#findings.size <= MOST_FINDINGS) break
      this.#findings.delete(oldest)
    }
    if (isNew) this.#actions.found(finding)
    for (const { id, generation } of this.#actions.workers())
      if (ids.includes(id) && this.#actions.isStrict(generation))
        this.#actions.reject(id, `was not kept (forkGuard): ${finding.who} ${finding.what}`)
  }
}
