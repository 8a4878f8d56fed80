// Everything of a round that lives: the upstream and who takes part; what their journals say; and the story of the round.
// What befalls them is faults.ts; in which order a round goes is round.ts.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { BareConnects } from '../../support/bare-connects.js'
import { eventually } from '../../support/deadline.js'
import { upstreamClock } from '../../support/exclusive-log.js'
import { ExclusiveUpstream } from '../../support/exclusive-upstream.js'
import { killProcesses, type ProcessRow, processRow } from '../../support/process-tree.js'
import { type Journal, type Outcome, pendingOf, readJournals } from '../../support/sender-journal.js'
import { filesLeft } from './files-left.js'
import { Participant } from './participant.js'
import type { ExclusivePlan, Starter } from './plan.js'

export const IDENTITY = 'feed'
/** For starts, on a machine that has other work (ms). */
const BEGIN_BOUND = 30_000
/** For coming back after any fault, and for settling (ms). */
const BACK_BOUND = 25_000
/** How long each bare connection stays (ms): enough of them, and little work for the machine. */
const BARE_STAYS = 50
/** Who has ended in order has waited for its workers; who was killed has workers that notice (ms). */
const STRAGGLERS_END = 3_000

const CLIENT_OPTIONS = {
  connectTimeout: '2s',
  backoff: { min: '10ms', max: '200ms' },
  drainTimeout: '5s',
  closeTimeout: '2s',
}

export class ExclusiveWorld {
  readonly folder: string
  readonly home: string
  readonly upstream: ExclusiveUpstream
  readonly plan: ExclusivePlan
  readonly participants: Participant[] = []
  readonly violations: string[] = []
  /** What was measured, by name (ms). */
  readonly figures: Record<string, number[]> = {}
  readonly #story: string[] = []
  readonly #begun = upstreamClock()
  #bare: BareConnects | null = null

  static readonly #open = new Set<ExclusiveWorld>()

  private constructor(plan: ExclusivePlan, folder: string, upstream: ExclusiveUpstream) {
    this.plan = plan
    this.folder = folder
    this.home = join(folder, 'run')
    this.upstream = upstream
    ExclusiveWorld.#open.add(this)
  }

  static async open(plan: ExclusivePlan): Promise<ExclusiveWorld> {
    const folder = mkdtempSync(join(tmpdir(), 'forksafe-exclusive-'))
    return new ExclusiveWorld(plan, folder, await ExclusiveUpstream.start(folder))
  }

  /** Ends all worlds at once, in the middle of whatever happens in them. */
  static abandonAll(): void {
    for (const world of ExclusiveWorld.#open) {
      // Whoever is forked while the first are killed is found the second time.
      for (let sweep = 0; sweep < 2; sweep++)
        for (const { process } of world.participants) killProcesses(process.members())
      world.#bare?.kill()
      world.upstream.kill()
      for (const { process } of world.participants) process.removeFolder()
      rmSync(world.folder, { recursive: true, force: true })
    }
  }

  start(starter: Starter, name: string, { isClockFaked = false } = {}): Participant {
    const { onUnconfirmed, every, fanout, isExclusive } = this.plan
    const options = { ...CLIENT_OPTIONS, onUnconfirmed, ...(isExclusive ? { fanout } : {}) }
    const sending = { url: this.upstream.url(IDENTITY), folder: this.folder, every, isExclusive, options }
    const clockFile = isClockFaked ? join(this.folder, `clock-of-${name}`) : null
    const participant = new Participant(starter, { name, home: this.home, sending, clockFile })
    this.participants.push(participant)
    this.tell(
      `${name} (${starter.workers === null ? 'a script' : `${starter.workers} workers`}) started, pid ${participant.process.pid}`,
    )
    return participant
  }

  /** Connections of a plain client beside everything else, to be compared with. */
  startBare(): void {
    this.#bare = new BareConnects(this.upstream, BARE_STAYS)
  }

  /** Settles when the identity is open, and every sender of the participant has a receipt. */
  async proved(participant: Participant): Promise<void> {
    const { name, senderCount } = participant
    await this.upstream.until(
      () => this.upstream.open(IDENTITY).length > 0,
      'the first connection',
      BEGIN_BOUND,
    )
    await eventually(
      () => this.#journalsOf(participant).filter(({ sent }) => [...sent.values()].some(isReceipt)).length,
      (proved) => proved >= senderCount,
      { what: `the first receipt of each sender of ${name}`, timeout: BEGIN_BOUND },
    )
    this.tell(`each sender of ${name} has a receipt`)
  }

  /** Settles when every sender of the participant is at work, whether anything of it is confirmed or not. */
  async atWork(participant: Participant): Promise<void> {
    await eventually(
      () => this.#journalsOf(participant).filter(({ sent }) => sent.size > 0).length,
      (found) => found >= participant.senderCount,
      { what: `the senders of ${participant.name} to be at work`, timeout: BEGIN_BOUND },
    )
  }

  /**
   * Settles when the identity was opened after a moment of the upstream's clock.
   *
   * @returns how long after (ms).
   */
  async openedAgain(since: number): Promise<number> {
    const found = (): number | null => this.upstream.openedAfter(IDENTITY, since)
    await this.upstream.until(() => found() !== null, `${IDENTITY} to be open again`, BACK_BOUND)
    const ms = (found() ?? Number.NaN) - since
    this.tell(`open again after ${ms.toFixed(1)} ms`)
    this.measure('open again after', [ms])
    return ms
  }

  /** Settles when a message is confirmed that was sent after now. */
  async flowsAgain(): Promise<void> {
    const before = new Map(this.#journals().map(({ sender, sent }) => [sender, sent.size]))
    await eventually(
      () =>
        this.#journals().some(({ sender, sent }) =>
          [...sent].some(([number, outcome]) => number > (before.get(sender) ?? 0) && isReceipt(outcome)),
        ),
      (flows) => flows,
      { what: 'a new message to be confirmed', timeout: BACK_BOUND },
    )
    this.tell('messages flow')
  }

  /** Who has the connection: for a supervisor the worker that it calls the holder, and the upstream knows no other. */
  async holder(): Promise<{ participant: Participant; row: ProcessRow }> {
    const found = await eventually(
      async () => {
        const pids = this.upstream.open(IDENTITY).map(({ who }) => Number(who))
        const participant = this.participants.find(
          (each) => !each.hasExited && pids.some((pid) => each.has(pid)),
        )
        if (participant === undefined) return null
        const pid =
          participant.starter.workers === null ? pids[0] : await participant.holderOf(IDENTITY, pids)
        const row = pid === undefined ? null : processRow(pid)
        return row === null ? null : { participant, row }
      },
      (holder) => holder !== null,
      { what: 'a holder that its supervisor and the upstream agree on', timeout: BACK_BOUND },
    )
    if (found === null) throw new Error('no holder')
    return found
  }

  /**
   * Ends everybody in order, whoever holds first, so that each who waits gets its turn: what its senders have sent is
   * settled before it is ended.
   */
  async handDown(): Promise<void> {
    writeFileSync(join(this.folder, 'stop'), '')
    for (let left = this.participants.length; this.#living().length > 0; left--) {
      if (left === 0) throw new Error('those that were ended live on')
      await this.upstream.until(
        () => this.upstream.open(IDENTITY).length > 0,
        `${IDENTITY} to be open, as ${this.#living().map(({ name }) => name)} live`,
        BACK_BOUND,
      )
      const { participant } = await this.holder()
      await this.#settled(participant)
      await this.#end(participant)
    }
  }

  async #settled(participant: Participant): Promise<void> {
    const open = (): string[] =>
      this.#journalsOf(participant)
        .filter((journal) => pendingOf(journal) > 0 || !journal.notes.includes('stopped'))
        .map((journal) => `${journal.sender}: ${pendingOf(journal)} of ${journal.sent.size}`)
    await eventually(open, (senders) => senders.length === 0, {
      what: `everything that ${participant.name} sent to be settled`,
      timeout: BACK_BOUND,
    })
  }

  async #end(participant: Participant): Promise<void> {
    const { name, process } = participant
    await participant.stop()
    this.tell(`${name} ended with ${process.exit?.signal ?? process.exit?.code}`)
    if (process.exit?.code !== 0)
      this.violate(`${name} was told to stop and ended with ${process.exit?.signal ?? process.exit?.code}`)
    await this.#isGone(participant)
  }

  async #isGone({ name, process }: Participant): Promise<void> {
    const left = (): string[] => process.members().map(({ pid, command }) => `${pid} ${command}`)
    await eventually(left, (rows) => rows.length === 0, {
      what: `no process of ${name} to be left`,
      timeout: STRAGGLERS_END,
    })
  }

  /** After everybody has ended: no connection, process, socket, lock or draft. */
  async nothingIsLeft(): Promise<void> {
    const open = (): number => this.upstream.open(IDENTITY).length
    await this.upstream.until(() => open() === 0, 'the upstream to have no connection left', STRAGGLERS_END)
    for (const participant of this.participants) await this.#isGone(participant)
    const files = filesLeft(this.home, this.participants)
    if (files.length > 0) this.violate(`left in the runtime folder: ${files.join(', ')}`)
  }

  #living(): Participant[] {
    return this.participants.filter(({ hasExited }) => !hasExited)
  }

  #journals(): Journal[] {
    return readJournals(this.folder)
  }

  /** Of its processes that live. */
  #journalsOf(participant: Participant): Journal[] {
    const pids = new Set(participant.rows().map(({ pid }) => pid))
    return this.#journals().filter(({ pid }) => pids.has(pid))
  }

  measure(name: string, values: readonly number[]): void {
    this.figures[name] = [...(this.figures[name] ?? []), ...values]
  }

  tell(text: string): void {
    this.#story.push(`${(upstreamClock() - this.#begun).toFixed(0).padStart(6)} ms  ${text}`)
  }

  violate(text: string): void {
    this.violations.push(text)
    this.tell(`VIOLATION ${text}`)
  }

  get story(): string[] {
    return this.#story
  }

  /** What the bare connects of this round took; no more of them are made. */
  async stopBare(): Promise<void> {
    const times = await this.#bare?.stop()
    this.#bare = null
    if (times !== undefined) this.measure('bare connect', times)
  }

  /** Ends everybody at once, where a round cannot go on, so that what is judged changes no more. */
  async killAll(): Promise<void> {
    await Promise.all(this.participants.map(({ process }) => process.kill()))
    const open = (): number => this.upstream.open(IDENTITY).length
    await this.upstream.until(() => open() === 0, 'the upstream to see their end', STRAGGLERS_END)
  }

  /** Ends everything. The folder stays where `keeps`, with all that was said in it. */
  async close({ plan, keeps }: { plan: readonly string[]; keeps: boolean }): Promise<void> {
    await this.stopBare()
    for (const { name, process } of this.participants) {
      await process.kill()
      if (keeps)
        writeFileSync(join(this.folder, `${name}-${process.pid}.log`), `${process.lines.join('\n')}\n`)
      process.removeFolder()
    }
    await this.upstream.stop()
    ExclusiveWorld.#open.delete(this)
    if (!keeps) return rmSync(this.folder, { recursive: true, force: true })
    writeFileSync(join(this.folder, 'story.txt'), `${[...plan, '', ...this.story].join('\n')}\n`)
  }
}

const isReceipt = (outcome: Outcome): boolean => outcome !== null && 'level' in outcome
