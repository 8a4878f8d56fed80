// Which worker has crossed a limit: its memory, its CPU, its age, or an event loop that stands still.
// Pure: the workers that are ready, samples, beats and a clock in; questions and breaches out. Each limit is told of once a
// worker. What is done about it is src/primary/limit-breaches.ts; who asks and samples, src/primary/limit-watch.ts.
//
// A beat is an answer that a worker's loop gives when it turns. Silence counts from the first question without an answer,
// less the time in which the primary itself was not there to hear one: where this process was late, or was stopped
// together with everybody, no worker is at fault.

import type { Random } from '../shared/clock.js'
import type { LimitBreach, LimitName, LimitSettings } from '../shared/limits.js'

/** A worker that is ready now. */
export interface WatchedWorker {
  id: number
  /** Monotonic ms. */
  readyAt: number
  limits: LimitSettings
  /** Whether it answers questions for a beat: a runtime of another version may not. */
  canBeat: boolean
}

export interface Sample {
  rssBytes: number
  cpuTimeMs: number
}

export type LimitEffect =
  /** Answered by `sampled`. */
  | { type: 'sample'; ids: number[] }
  /** Answered by `beat`, when its loop turns. */
  | { type: 'askBeat'; id: number }
  | { type: 'breached'; id: number; breach: LimitBreach }

/** ms between samples, or a part of the CPU period where that is short. */
const SAMPLE_INTERVAL = 5_000
const SAMPLES_PER_PERIOD = 6
/** Most ms between two questions for a beat. */
const BEAT_INTERVAL = 15_000
const BEATS_PER_TIMEOUT = 4
/** Timers ring late by so much without anybody being at fault. */
const MIN_PAUSE = 20
/** A share of `maxUptime` by which a worker's own one differs at most, so that those started together do not go together. */
const UPTIME_JITTER = 0.1

interface Record {
  worker: WatchedWorker
  told: Set<LimitName>
  /** Its share of the jitter, from -1 to 1. */
  jitter: number
  /** When the first question was asked that is not answered; null: all are. Moved by what the primary missed. */
  silentSince: number | null
  beatDueAt: number
  /** Of the CPU period, oldest first. */
  readings: { at: number; cpuTimeMs: number }[]
}

export class WorkerLimits {
  readonly #random: Random
  readonly #records = new Map<number, Record>()
  #sampleDueAt: number | null = null
  #isSampling = false
  /** When `look` is to come next. */
  #lookDueAt: number | null = null
  #effects: LimitEffect[] = []

  constructor(random: Random) {
    this.#random = random
  }

  /** When to look next, monotonic ms; null: there is nothing to watch. */
  get nextLookAt(): number | null {
    return this.#lookDueAt
  }

  /** To be called when `nextLookAt` is there, after reading what has come in, and whenever a worker has become ready. */
  look(ready: readonly WatchedWorker[], now: number): LimitEffect[] {
    this.#forgive(this.#lookDueAt === null ? 0 : now - this.#lookDueAt)
    this.#watch(ready, now)
    for (const record of this.#records.values()) {
      this.#judgeUptime(record, now)
      this.#judgeBeat(record, now)
    }
    this.#sampleIfDue(now)
    this.#lookDueAt = this.#nextLook(now)
    return this.#effects.splice(0)
  }

  beat(id: number): void {
    const record = this.#records.get(id)
    if (record !== undefined) record.silentSince = null
  }

  /** Of those that could be read. */
  sampled(samples: ReadonlyMap<number, Sample>, now: number): LimitEffect[] {
    this.#isSampling = false
    for (const [id, sample] of samples) {
      const record = this.#records.get(id)
      if (record === undefined) continue
      this.#judgeMemory(record, sample)
      this.#judgeCpu(record, sample, now)
    }
    return this.#effects.splice(0)
  }

  /** What this process missed is nobody's silence. */
  #forgive(lateness: number): void {
    if (lateness <= 0) return
    for (const record of this.#records.values()) {
      if (record.silentSince !== null) record.silentSince += lateness
    }
  }

  #watch(ready: readonly WatchedWorker[], now: number): void {
    const ids = new Set(ready.map(({ id }) => id))
    for (const id of this.#records.keys()) if (!ids.has(id)) this.#records.delete(id)
    for (const worker of ready) {
      const known = this.#records.get(worker.id)
      if (known !== undefined) known.worker = worker
      else
        this.#records.set(worker.id, {
          worker,
          told: new Set(),
          jitter: this.#random() * 2 - 1,
          silentSince: null,
          beatDueAt: now + beatInterval(worker.limits),
          readings: [],
        })
    }
  }

  #judgeUptime(record: Record, now: number): void {
    const { readyAt, limits } = record.worker
    if (now < uptimeEnd(record)) return
    this.#tell(record, { limit: 'maxUptime', value: now - readyAt, max: limits.maxUptime })
  }

  #judgeBeat(record: Record, now: number): void {
    const { id, limits, canBeat } = record.worker
    const { hangTimeout } = limits
    if (hangTimeout === 0 || !canBeat || now < record.beatDueAt) return
    if (record.silentSince === null) {
      record.silentSince = now
      this.#effects.push({ type: 'askBeat', id })
    }
    const value = now - record.silentSince
    const rest = hangTimeout - value
    if (rest <= 0) this.#tell(record, { limit: 'hangTimeout', value, max: hangTimeout })
    record.beatDueAt = now + (rest <= 0 ? beatInterval(limits) : Math.min(beatInterval(limits), rest))
  }

  #judgeMemory(record: Record, { rssBytes: value }: Sample): void {
    const { maxMemory, maxMemoryHard } = record.worker.limits
    if (maxMemoryHard > 0 && value > maxMemoryHard)
      return this.#tell(record, { limit: 'maxMemoryHard', value, max: maxMemoryHard })
    if (maxMemory > 0 && value > maxMemory) this.#tell(record, { limit: 'maxMemory', value, max: maxMemory })
  }

  /** The mean over the period, which must be over: a busy moment is none of our business. */
  #judgeCpu(record: Record, { cpuTimeMs }: Sample, now: number): void {
    const { maxCpu: max, maxCpuPeriod } = record.worker.limits
    if (max === 0) return
    const { readings } = record
    readings.push({ at: now, cpuTimeMs })
    while (readings[1] !== undefined && now - readings[1].at >= maxCpuPeriod) readings.shift()
    const first = readings[0]
    if (first === undefined || now - first.at < maxCpuPeriod) return
    const value = ((cpuTimeMs - first.cpuTimeMs) / (now - first.at)) * 100
    if (value > max) this.#tell(record, { limit: 'maxCpu', value, max })
  }

  #tell({ worker, told }: Record, breach: LimitBreach): void {
    if (told.has(breach.limit)) return
    told.add(breach.limit)
    this.#effects.push({ type: 'breached', id: worker.id, breach })
  }

  #sampleIfDue(now: number): void {
    const sampled = [...this.#records.values()].filter(({ worker }) => isSampled(worker.limits))
    if (sampled.length === 0) {
      this.#sampleDueAt = null
      return
    }
    // The first one at once: it is where the CPU of a new worker is counted from.
    const isNew = sampled.some(({ worker, readings }) => worker.limits.maxCpu > 0 && readings.length === 0)
    if (this.#isSampling || (!isNew && this.#sampleDueAt !== null && now < this.#sampleDueAt)) return
    this.#isSampling = true
    this.#sampleDueAt = now + Math.min(...sampled.map(({ worker }) => sampleInterval(worker.limits)))
    this.#effects.push({ type: 'sample', ids: sampled.map(({ worker }) => worker.id) })
  }

  #nextLook(now: number): number | null {
    const next = Math.min(
      this.#sampleDueAt ?? Number.POSITIVE_INFINITY,
      ...[...this.#records.values()].flatMap((record) => [
        record.told.has('maxUptime') ? Number.POSITIVE_INFINITY : uptimeEnd(record),
        record.worker.limits.hangTimeout > 0 && record.worker.canBeat
          ? record.beatDueAt
          : Number.POSITIVE_INFINITY,
      ]),
    )
    return Number.isFinite(next) ? Math.max(next, now + MIN_PAUSE) : null
  }
}

/** Its own end, or never. */
const uptimeEnd = ({ worker: { readyAt, limits }, jitter }: Record): number =>
  limits.maxUptime === 0
    ? Number.POSITIVE_INFINITY
    : readyAt + limits.maxUptime * (1 + jitter * UPTIME_JITTER)

const beatInterval = ({ hangTimeout }: LimitSettings): number =>
  Math.min(BEAT_INTERVAL, hangTimeout / BEATS_PER_TIMEOUT)

const isSampled = ({ maxMemory, maxMemoryHard, maxCpu }: LimitSettings): boolean =>
  maxMemory > 0 || maxMemoryHard > 0 || maxCpu > 0

const sampleInterval = ({ maxCpu, maxCpuPeriod }: LimitSettings): number =>
  maxCpu === 0 ? SAMPLE_INTERVAL : Math.min(SAMPLE_INTERVAL, maxCpuPeriod / SAMPLES_PER_PERIOD)
