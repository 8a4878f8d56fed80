// The settings of each release that still counts, by generation: what a worker of it is forked with.

import { realpathSync } from 'node:fs'
import type { Settings } from '../shared/settings.js'
import type { Release } from './commands.js'

export class Generations {
  readonly #settings = new Map<number, Settings>()
  /** For people: what runs is where its symlinks led when the generation began. */
  readonly #scriptsAsGiven = new Map<number, string>()

  readonly #relays: number

  /** @param relays how many slots run a relay beside the app. */
  constructor(relays: number) {
    this.#relays = relays
  }

  /**
   * A generation is one release: symlinks are followed once, when it begins, so that a crash replacement and a rollback
   * run the code that the other workers run, wherever the link points by then.
   *
   * @returns what of it the core needs to know.
   */
  begin(generation: number, settings: Settings): Release {
    this.#scriptsAsGiven.set(generation, settings.script)
    this.#settings.set(generation, {
      ...settings,
      script: realpathSync(settings.script),
      cwd: realpathSync(settings.cwd),
    })
    const { maxSurge, readyTimeout, minUptime, stopTimeout, shutdownDelay, restart } = settings
    const relays = this.#relays
    const workers = settings.workers + relays
    return {
      generation,
      workers,
      relays,
      maxSurge,
      readyTimeout,
      minUptime,
      stopTimeout,
      shutdownDelay,
      restart,
    }
  }

  of(generation: number): Settings {
    const settings = this.#settings.get(generation)
    if (settings === undefined) throw new Error(`no settings are kept for generation ${generation}`)
    return settings
  }

  scriptOf(generation: number): string {
    return this.#scriptsAsGiven.get(generation) ?? ''
  }

  keepOnly(inUse: ReadonlySet<number>): void {
    for (const generation of this.#settings.keys()) {
      if (inUse.has(generation)) continue
      this.#settings.delete(generation)
      this.#scriptsAsGiven.delete(generation)
    }
  }
}
