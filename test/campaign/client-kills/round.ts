// The client-kills campaign: senders in processes of their own, a real server behind a network, both of which fail at
// random moments; and then the question whether everything that was said of a message is true. What may fail is plan.ts,
// what must hold judge-delivery.ts.

import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { withDeadline } from '../../support/deadline.js'
import { judgeDelivery } from '../../support/judge-delivery.js'
import { ArrivalLog, RecordingServer } from '../../support/recording-server.js'
import type { Campaign, RoundReport } from '../campaign.js'
import { sleep } from '../sleep.js'
import { makePlan } from './make-plan.js'
import { describePlan, type Fault, type RoundPlan } from './plan.js'
import { Relay } from './relay.js'
import { Sender } from './sender.js'

const SERVER = fileURLToPath(new URL('../../client/stacks/fixtures/ws-server.js', import.meta.url))
/** Processes start slowly on a busy machine (ms). */
const BEGIN_BOUND = 30_000
/** In the calm everything has time to be proved; in the storm senders close at once (ms). */
const DRAIN = { calm: 20_000, storm: 0 }

export const clientKills: Campaign = {
  name: 'client-kills',
  summary: 'servers killed and connections cut under clients that send, and what they said of their messages',
  abandon: () => {
    for (const round of Round.open) round.kill()
  },
  playRound: (random) => playPlan(makePlan(random)),
}

/** One round of a given plan. */
export const playPlan = async (plan: RoundPlan): Promise<RoundReport> => {
  const round = await Round.begin(plan)
  try {
    await round.play()
  } catch (error) {
    round.violations.push(`the round could not be played: ${(error as Error).message}`)
  }
  await round.close()
  return round.report()
}

class Round {
  static readonly open = new Set<Round>()
  readonly violations: string[] = []
  readonly #plan: RoundPlan
  readonly #log = new ArrivalLog()
  readonly #relay: Relay
  readonly #senders: Sender[]
  readonly #begun = performance.now()
  readonly #story: string[] = []
  #server: RecordingServer | null = null
  /** Servers are killed and started one after the other, whatever falls together. */
  #servers: Promise<void> = Promise.resolve()
  #isOver = false

  private constructor(plan: RoundPlan, relay: Relay) {
    this.#plan = plan
    this.#relay = relay
    const drainFor = plan.endsAt === 'calm' ? DRAIN.calm : DRAIN.storm
    this.#senders = plan.senders.map(
      (sender, index) => new Sender(index, sender, { url: relay.url, drainFor }),
    )
    Round.open.add(this)
  }

  static async begin(plan: RoundPlan): Promise<Round> {
    return new Round(plan, await Relay.open())
  }

  async play(): Promise<void> {
    await this.#startServer()
    await withDeadline(Promise.all(this.#senders.map(({ proved }) => proved)), {
      what: 'the first receipt of each sender',
      timeout: BEGIN_BOUND,
    })
    this.#tell('the faults begin')
    const faults = Promise.all(
      this.#plan.steps.map(async ({ at, fault }) => {
        await sleep(at)
        await this.#inflict(fault)
      }),
    )
    const { endsAt } = this.#plan
    await (endsAt === 'calm' ? faults : sleep(endsAt))
    this.#tell('the senders finish')
    await Promise.all([faults, ...this.#senders.map((sender) => sender.finish())])
    await this.#killServer()
    this.#judge()
  }

  async #inflict(fault: Fault): Promise<void> {
    this.#tell(JSON.stringify(fault))
    switch (fault.type) {
      case 'kill':
        this.#servers = this.#servers.then(async () => {
          await this.#killServer()
          await sleep(fault.downFor)
          await this.#startServer()
        })
        return this.#servers
      case 'pause': {
        const server = this.#server
        server?.signal('SIGSTOP')
        await sleep(fault.ms)
        server?.signal('SIGCONT')
        return
      }
      case 'reset':
        for (const connection of this.#relay.connections(fault.whose)) connection.reset()
        return
      case 'cut':
        for (const connection of this.#relay.connections(fault.whose)) connection.cutAfter(fault.bytes)
        return
      case 'stall': {
        const stalled = this.#relay.connections(fault.whose)
        for (const connection of stalled) connection.stall()
        await sleep(fault.ms)
        for (const connection of stalled) connection.go(fault.ending)
        return
      }
      case 'refuse':
        this.#relay.isRefusing = true
        for (const connection of this.#relay.connections('all')) connection.reset()
        await sleep(fault.ms)
        this.#relay.isRefusing = false
    }
  }

  async #startServer(): Promise<void> {
    if (this.#isOver) return
    this.#server = await RecordingServer.start([process.execPath, SERVER], this.#log)
    this.#relay.target = Number(this.#server.address)
    this.#tell('a server listens')
  }

  async #killServer(): Promise<void> {
    this.#relay.target = null
    await this.#server?.kill()
    this.#server = null
    this.#tell(`the server is dead, ${this.#log.arrivals.length} messages have arrived`)
  }

  #judge(): void {
    this.#senders.forEach((sender, index) => {
      const { onUnconfirmed, isBounded } = sender.plan
      const sent = [...sender.sent.values()]
      const isAllOwed = !isBounded && this.#plan.endsAt === 'calm'
      const arrivals = this.#log.arrivals.filter(({ number }) => sender.owns(number))
      const found = judgeDelivery({ sent, arrivals, onUnconfirmed, isAllOwed })
      this.#tell(`sender ${index + 1}: ${sent.length} sent, ${arrivals.length} arrived, ${sender.end}`)
      for (const what of [...found, ...sender.complaints])
        this.violations.push(`sender ${index + 1}: ${what}`)
    })
  }

  #tell(text: string): void {
    this.#story.push(`${(performance.now() - this.#begun).toFixed(0).padStart(6)} ms  ${text}`)
  }

  /** Ends every process of it at once. */
  kill(): void {
    this.#isOver = true
    for (const sender of this.#senders) sender.kill()
    this.#server?.signal('SIGKILL')
    this.#relay.close()
  }

  async close(): Promise<void> {
    this.kill()
    await this.#servers.catch(() => {})
    await this.#server?.kill()
    Round.open.delete(this)
  }

  report(): RoundReport {
    const { violations } = this
    const story = [...describePlan(this.#plan), ...this.#story]
    return { violations, story, folder: violations.length > 0 ? this.#keep(story) : null }
  }

  #keep(story: readonly string[]): string {
    const folder = mkdtempSync(join(tmpdir(), 'forksafe-client-kills-'))
    const lines = (rows: Iterable<object>): string =>
      `${[...rows].map((row) => JSON.stringify(row)).join('\n')}\n`
    writeFileSync(join(folder, 'story.txt'), `${[...story, '', ...this.violations].join('\n')}\n`)
    writeFileSync(join(folder, 'arrivals.jsonl'), lines(this.#log.arrivals))
    this.#senders.forEach(({ sent }, index) => {
      writeFileSync(join(folder, `sender-${index + 1}.jsonl`), lines(sent.values()))
    })
    return folder
  }
}
