// The world of a round: a folder, the spool's disk, upstreams one after the other on one port, supervisors one after the
// other. What befalls them is faults.ts.

import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { cleanEnv } from '../../support/clean-children.js'
import { eventually } from '../../support/deadline.js'
import { type UpstreamEvent, upstreamClock } from '../../support/exclusive-log.js'
import { ExclusiveUpstream } from '../../support/exclusive-upstream.js'
import { CLI } from '../../support/run-cli.js'
import { SupervisorProcess } from '../../support/supervisor-process.js'
import { Random } from '../random.js'
import { Caller } from './caller.js'
import type { RelayPlan } from './plan.js'

const NAME = 'relay'
const STRACE = '/usr/bin/strace'
const DISK = '48m'
const BEGIN_BOUND = 30_000
const ORPHANS_END = 6_000

export const canMount = process.getuid?.() === 0 && existsSync('/usr/bin/mount')
export const canInject = existsSync(STRACE)

export class RelayWorld {
  static readonly #open = new Set<RelayWorld>()
  readonly folder = mkdtempSync(join(tmpdir(), 'forksafe-relay-'))
  readonly home = join(this.folder, 'run')
  readonly disk = join(this.folder, 'disk')
  readonly socket = join(this.folder, 'forksafe-relay/relay.sock')
  readonly supervisors: SupervisorProcess[] = []
  readonly callers: Caller[]
  readonly violations: string[] = []
  readonly story: string[] = []
  readonly #upstreams: ExclusiveUpstream[] = []
  readonly #begun = upstreamClock()
  readonly #workers: number
  #isMounted = false

  private constructor(plan: RelayPlan) {
    this.#workers = plan.workers
    mkdirSync(this.disk)
    let ticks = 0
    const { seed, batches, pause } = plan
    this.callers = Array.from({ length: plan.callers }, (_, at) => {
      const random = new Random(seed + at)
      return new Caller({
        key: `k${at}`,
        socketPath: this.socket,
        random,
        batches,
        pause,
        tick: () => ++ticks,
      })
    })
    RelayWorld.#open.add(this)
  }

  static async open(plan: RelayPlan): Promise<RelayWorld> {
    const world = new RelayWorld(plan)
    const needsDisk = plan.steps.some(({ fault }) => fault.type === 'disk-full')
    if (needsDisk && canMount) {
      const args = ['-t', 'tmpfs', '-o', `size=${DISK},mode=700`, 'tmpfs', world.disk]
      world.#isMounted = spawnSync('/usr/bin/mount', args).status === 0
    }
    if (needsDisk && !world.#isMounted) world.tell('no disk of its own: faults disk-full are left out')
    await world.startUpstream()
    return world
  }

  static abandonAll(): void {
    for (const world of RelayWorld.#open) {
      for (const supervisor of world.supervisors) for (const { pid } of supervisor.members()) killIfThere(pid)
      world.#removeFolder()
    }
  }

  get hasDisk(): boolean {
    return this.#isMounted
  }

  get upstream(): ExclusiveUpstream {
    const upstream = this.#upstreams.at(-1)
    if (upstream === undefined) throw new Error('there is no upstream')
    return upstream
  }

  get supervisor(): SupervisorProcess {
    const supervisor = this.supervisors.at(-1)
    if (supervisor === undefined) throw new Error('there is no supervisor')
    return supervisor
  }

  async startUpstream(): Promise<void> {
    const port = this.#upstreams.at(-1)?.port ?? 0
    const folder = join(this.folder, `upstream-${this.#upstreams.length + 1}`)
    mkdirSync(folder)
    this.#upstreams.push(await ExclusiveUpstream.start(folder, port))
    this.tell('an upstream listens')
  }

  startSupervisor(): void {
    const flags = ['--to', `feed=${this.upstream.url('feed')}`, '--listen', `unix:${this.socket}`]
    flags.push('--spool', join(this.disk, 'spool'), '-i', `${this.#workers}`, '--name', NAME)
    // Each crash of a plan is one of the plan: none of them is to end the supervisor.
    flags.push('--restart', 'intensity=100,period=1m')
    this.supervisors.push(
      new SupervisorProcess({ program: [CLI, 'relay', ...flags], home: this.home, name: NAME }),
    )
    this.tell(`a supervisor started, pid ${this.supervisor.pid}`)
  }

  async ready(): Promise<void> {
    await this.supervisor.waitUntilReady(BEGIN_BOUND)
    await this.upstream.until(
      () => this.upstream.open('feed').length > 0,
      'the first connection',
      BEGIN_BOUND,
    )
    this.tell('ready')
  }

  /** Pids of relay workers: of the owner of the spool, or of the others. */
  async workers(whose: 'owner' | 'other'): Promise<number[]> {
    const status = await this.supervisor.status().catch(() => null)
    const live = (status?.workers ?? []).filter(({ state }) => state === 'ready')
    const isOwner = (worker: (typeof live)[number]): boolean =>
      worker.clients.some(({ role }) => role !== 'standby')
    return live.filter((worker) => isOwner(worker) === (whose === 'owner')).flatMap(({ pid }) => pid ?? [])
  }

  /** Fills the disk to its last byte; returns what frees it. */
  fillDisk(): () => void {
    const file = join(this.disk, 'filler')
    const fd = openSync(file, 'w')
    for (const piece of [Buffer.alloc(1 << 20), Buffer.alloc(4_096)]) {
      try {
        for (;;) writeSync(fd, piece)
      } catch {}
    }
    closeSync(fd)
    return () => rmSync(file)
  }

  /** Lets syncs of these processes fail; settles when it is at work, with what ends it. */
  async failSyncs(pids: readonly number[], each: number): Promise<() => Promise<void>> {
    const args = [
      '-f',
      '-q',
      '-e',
      'trace=fsync,fdatasync',
      '-e',
      `inject=fsync,fdatasync:error=EIO:when=1+${each}`,
    ]
    const strace = spawn(
      STRACE,
      [...args, '-o', join(this.folder, 'strace.log'), ...pids.flatMap((pid) => ['-p', `${pid}`])],
      {
        env: cleanEnv(),
        stdio: 'ignore',
      },
    )
    const ended = once(strace, 'close')
    const isTraced = (pid: number): boolean => tracerOf(pid) === strace.pid || tracerOf(pid) === null
    await eventually(
      () => strace.exitCode !== null || pids.every(isTraced),
      (isAttached) => isAttached,
      { what: 'strace to be attached' },
    )
    return async () => {
      strace.kill('SIGTERM')
      await ended
    }
  }

  /** Keys and numbers that have arrived so far. */
  arrived(): Set<string> {
    const got = this.lives().flat()
    return new Set(got.flatMap((event) => (event.type === 'got' ? `${event.sender}-${event.number}` : [])))
  }

  lives(): UpstreamEvent[][] {
    return this.#upstreams.map((upstream) => upstream.log())
  }

  /** Ended in order: nothing may be left. */
  async end(): Promise<void> {
    const { code, signal } = await this.#endLast()
    if (code !== 0) this.violate(`the supervisor was told to stop and ended with ${signal ?? code}`)
    for (const supervisor of this.supervisors)
      await eventually(
        () => supervisor.members().map(({ pid, command }) => `${pid} ${command}`),
        (rows) => rows.length === 0,
        { what: `no process of supervisor ${supervisor.pid} to be left`, timeout: ORPHANS_END },
      )
    const files = readdirSync(this.home, { recursive: true, encoding: 'utf8' })
    const left = files.filter((file) => /\.(sock|lock)$/.test(file))
    if (existsSync(this.socket)) left.push(this.socket)
    if (left.length > 0) this.violate(`left behind: ${left.join(', ')}`)
  }

  #endLast(): Promise<{ code: number | null; signal: string | null }> {
    this.supervisor.signal('SIGTERM')
    return this.supervisor.leavesNothing()
  }

  tell(text: string): void {
    this.story.push(`${(upstreamClock() - this.#begun).toFixed(0).padStart(6)} ms  ${text}`)
  }

  violate(text: string): void {
    this.violations.push(text)
    this.tell(`VIOLATION ${text}`)
  }

  /** Ends everything at once. The folder stays where something is wrong. */
  async close(plan: readonly string[]): Promise<void> {
    for (const caller of this.callers) caller.abandon()
    for (const [at, supervisor] of this.supervisors.entries()) {
      await supervisor.kill()
      if (this.violations.length > 0)
        writeFileSync(join(this.folder, `supervisor-${at + 1}.log`), `${supervisor.lines.join('\n')}\n`)
      supervisor.removeFolder()
    }
    for (const upstream of this.#upstreams) {
      upstream.signal('SIGCONT')
      await upstream.stop()
    }
    RelayWorld.#open.delete(this)
    if (this.violations.length === 0) return this.#removeFolder()
    if (this.#isMounted) {
      spawnSync('/usr/bin/cp', ['-a', join(this.disk, 'spool'), join(this.folder, 'spool-kept')])
      spawnSync('/usr/bin/umount', [this.disk])
    }
    const messages = this.callers.flatMap(({ published }) => published.map((each) => JSON.stringify(each)))
    writeFileSync(join(this.folder, 'published.jsonl'), `${messages.join('\n')}\n`)
    writeFileSync(join(this.folder, 'story.txt'), `${[...plan, '', ...this.story].join('\n')}\n`)
  }

  #removeFolder(): void {
    if (this.#isMounted) spawnSync('/usr/bin/umount', ['-l', this.disk])
    rmSync(this.folder, { recursive: true, force: true })
  }
}

/** 0: nobody; null: the process is gone. */
const tracerOf = (pid: number): number | null => {
  try {
    const status = spawnSync('/usr/bin/grep', ['TracerPid', `/proc/${pid}/status`], { encoding: 'utf8' })
    return status.status === 0 ? Number(status.stdout.split(':')[1]) : null
  } catch {
    return null
  }
}

const killIfThere = (pid: number): void => {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {}
}
