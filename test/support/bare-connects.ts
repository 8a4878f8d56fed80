// How long a connection takes at best, here and now: a plain client in a process of its own that closes in order and dials
// again, on the upstream's own clock. Run beside what is measured, it has the same machine and the same load.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { cleanEnv } from './clean-children.js'
import { endingWithUs } from './ending-with-us.js'
import type { ExclusiveUpstream } from './exclusive-upstream.js'
import { judgeConnections } from './judge-exclusive.js'

const PROGRAM = fileURLToPath(new URL('./fixtures/bare-client.js', import.meta.url))
const BEGIN_BOUND = 30_000

export class BareConnects {
  /** What it is called at the upstream; not an identity of anybody else. */
  static readonly identity = 'bare'
  readonly #upstream: ExclusiveUpstream
  readonly #child
  readonly #over: Promise<unknown>

  /** @param every ms for which each connection stays. */
  constructor(upstream: ExclusiveUpstream, every = 20) {
    this.#upstream = upstream
    const url = `${upstream.url(BareConnects.identity)}?who=bare`
    const [program = '', ...args] = endingWithUs('SIGKILL', [process.execPath, PROGRAM, url, String(every)])
    this.#child = spawn(program, args, { env: cleanEnv(), stdio: ['pipe', 'ignore', 'ignore'] })
    this.#child.stdin.on('error', () => {})
    this.#over = once(this.#child, 'exit')
  }

  /** From the end of each connection to the opening of the next (ms), so far. */
  get times(): number[] {
    const own = this.#upstream.events.filter(
      (event) => event.type !== 'open' || event.identity === BareConnects.identity,
    )
    return judgeConnections(own).gaps.map(({ ms }) => ms)
  }

  /** Settles when there are so many. */
  measured(count: number): Promise<void> {
    return this.#upstream.until(() => this.times.length >= count, `${count} bare connects`, BEGIN_BOUND)
  }

  kill(): void {
    this.#child.kill('SIGKILL')
  }

  async stop(): Promise<number[]> {
    this.kill()
    await this.#over
    return this.times
  }
}
