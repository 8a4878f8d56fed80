// The release folders of a round, and the symlink `current` that says which one counts now.

import { copyFileSync, mkdirSync, renameSync, symlinkSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import type { ReleaseKind, ReleasePlan } from './plan.js'

/** Times of a worker, in ms: short, so that rounds are, and long enough for a machine that is busy. */
export const STOP_TIMEOUT = 5_000
const MIN_UPTIME = 300
const READY_TIMEOUT = 10_000
/** For the release that exits at once: on a busy machine even that takes a moment. */
const HOPELESS_MIN_UPTIME = 2_000
/** For the release that never becomes ready: it has started long before. */
const HOPELESS_READY_TIMEOUT = 900

export const NAME = 'campaign'

const SCRIPTS: Record<ReleaseKind, string> = {
  good: 'test/campaign/fixtures/feed-app.js',
  neverReady: 'test/process/fixtures/never-ready.js',
  throwsAtBoot: 'test/process/fixtures/throws-at-boot.js',
  exitsAfterReady: 'test/process/fixtures/exits-after-ready.js',
  syntaxError: 'test/process/fixtures/broken/syntax-error.js',
}

export class Releases {
  /** Which release counted from when on; times as of performance.now(). */
  readonly history: { at: number; release: ReleasePlan }[] = []
  readonly #folder: string
  readonly #upstreamUrl: string

  constructor(folder: string, upstreamUrl: string) {
    this.#folder = folder
    this.#upstreamUrl = upstreamUrl
    // Where releases look for the package: this very checkout.
    mkdirSync(join(folder, 'node_modules'))
    symlinkSync(process.cwd(), join(folder, 'node_modules', 'forksafe'))
  }

  /** The configuration as a supervisor is told it: through the link. */
  get config(): string {
    return join(this.#folder, 'current', 'supervisor.config.json')
  }

  /** Deploys a release in a folder of its own and points `current` at it, as deploy tools do. */
  deploy(release: ReleasePlan): void {
    const number = this.history.length + 1
    const target = join(this.#folder, `release-${number}`)
    mkdirSync(target)
    copyFileSync(resolve(SCRIPTS[release.kind]), join(target, 'app.js'))
    writeFileSync(join(target, 'package.json'), '{"type":"module"}')
    writeFileSync(join(target, 'supervisor.config.json'), JSON.stringify(this.#configOf(release)))
    const draft = join(this.#folder, `next-${number}`)
    symlinkSync(target, draft)
    renameSync(draft, join(this.#folder, 'current'))
    this.history.push({ at: performance.now(), release })
  }

  /** Kinds of the releases that counted at some time from `from` to `to`. */
  kindsWithin(from: number, to: number): Set<ReleaseKind> {
    const { history } = this
    return new Set(
      history
        .filter(({ at }, index) => at <= to && (history[index + 1]?.at ?? Number.POSITIVE_INFINITY) >= from)
        .map(({ release }) => release.kind),
    )
  }

  #configOf({ kind, workers, app }: ReleasePlan): object {
    return {
      script: 'app.js',
      name: NAME,
      workers,
      logFormat: 'json',
      minUptime: kind === 'exitsAfterReady' ? HOPELESS_MIN_UPTIME : MIN_UPTIME,
      readyTimeout: kind === 'neverReady' ? HOPELESS_READY_TIMEOUT : READY_TIMEOUT,
      stopTimeout: STOP_TIMEOUT,
      env: {
        UPSTREAM: this.#upstreamUrl,
        CLIENTS: String(app.clients),
        OWN_SIGTERM: app.ownSigterm,
        EXIT_AFTER_MS: '0',
        ...(app.serves ? { SERVES: '1' } : {}),
        ...(app.bootMs > 0 ? { BOOT_MS: String(app.bootMs) } : {}),
        ...(app.hookMs > 0 ? { HOOK_MS: String(app.hookMs) } : {}),
      },
    }
  }
}
