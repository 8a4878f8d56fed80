// Whether the kernel has killed a process of our cgroup for lack of memory. The kernel tells the dead process's parent no
// more than SIGKILL; but it counts.

import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

/** A kill by the kernel was counted since the last one that was accounted for; it was not; nothing says. */
export type OomVerdict = 'counted' | 'not counted' | 'unknown'

/**
 * Counts along from when it was made. Workers are in the cgroup of their primary.
 *
 * @see Linux, Documentation/admin-guide/cgroup-v2.rst (memory.events), cgroup-v1/memory.rst (memory.oom_control).
 */
export class OomKills {
  readonly #file: string | null
  /** Kills that are accounted for. */
  #known: number

  /** @param root put before /proc and /sys, for tests. */
  constructor(root = '') {
    this.#file = counterFiles(root).find((file) => countIn(file) !== null) ?? null
    this.#known = this.#count() ?? 0
  }

  /** To be asked once for each process that SIGKILL ended and nobody here had sent it. */
  look(): OomVerdict {
    const count = this.#count()
    if (count === null) return 'unknown'
    if (count <= this.#known) return 'not counted'
    // Several may have been killed together: each of them is asked for.
    this.#known++
    return 'counted'
  }

  #count(): number | null {
    return this.#file === null ? null : countIn(this.#file)
  }
}

/** Where this process's cgroup, or one above it, may count; nearest first. In a container the files lie at the mount's root. */
const counterFiles = (root: string): string[] =>
  (read(`${root}/proc/self/cgroup`) ?? '').split('\n').flatMap((line) => {
    const [, controllers = '', path = ''] = /^\d+:([^:]*):(\/.*)$/.exec(line) ?? []
    if (path === '') return []
    if (controllers === '')
      return upwards(path).map((at) => join(root, '/sys/fs/cgroup', at, 'memory.events'))
    return controllers.split(',').includes('memory')
      ? upwards(path).map((at) => join(root, '/sys/fs/cgroup', controllers, at, 'memory.oom_control'))
      : []
  })

const upwards = (path: string): string[] => (path === '/' ? [path] : [path, ...upwards(dirname(path))])

const countIn = (file: string): number | null => {
  const count = /^oom_kill (\d+)$/m.exec(read(file) ?? '')?.[1]
  return count === undefined ? null : Number(count)
}

const read = (path: string): string | null => {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return null
  }
}
