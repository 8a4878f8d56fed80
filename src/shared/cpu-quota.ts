// How many CPUs this process may use: the scheduler's affinity, cut by the quota of its cgroup (containers, systemd's
// CPUQuota). Node 20 knows the affinity alone.

import { readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { dirname, join } from 'node:path'

/** Whole CPUs, at least 1: a quota of 1.5 counts as 1, since a second worker would be throttled half of its time. */
export const usableCpus = (root = ''): number => {
  const quota = cgroupQuota(root)
  return Math.max(1, Math.min(availableParallelism(), quota === null ? Infinity : Math.floor(quota)))
}

/**
 * The smallest CPU quota of this process's cgroup and those above it, in CPUs; null where there is none.
 *
 * @param root put before /proc and /sys, for tests.
 * @see Linux, Documentation/admin-guide/cgroup-v2.rst (cpu.max), cgroup-v1/../scheduler/sched-bwc.rst.
 */
export const cgroupQuota = (root = ''): number | null => {
  const lines = read(`${root}/proc/self/cgroup`)?.split('\n') ?? []
  const quotas = lines.flatMap((line) => {
    const [, controllers = '', path = ''] = /^\d+:([^:]*):(\/.*)$/.exec(line) ?? []
    if (path === '') return []
    if (controllers === '') return quotasUpwards(`${root}/sys/fs/cgroup`, path, quotaOfV2)
    if (!controllers.split(',').includes('cpu')) return []
    // The folder is not always called as the kernel writes it: it says `cpuacct,cpu` where `cpu,cpuacct` is mounted.
    return [...new Set([controllers, 'cpu,cpuacct', 'cpu'])].flatMap((mount) =>
      quotasUpwards(`${root}/sys/fs/cgroup/${mount}`, path, quotaOfV1),
    )
  })
  return quotas.length === 0 ? null : Math.min(...quotas)
}

/** In a container the path may be the host's, and the files lie at the mount's root: that is looked at too. */
const quotasUpwards = (mount: string, path: string, quotaOf: (folder: string) => number | null): number[] => {
  const folders: string[] = []
  for (let at = path; ; at = dirname(at)) {
    folders.push(join(mount, at))
    if (at === '/') break
  }
  return folders.flatMap((folder) => quotaOf(folder) ?? [])
}

/** `max 100000` or `150000 100000`. */
const quotaOfV2 = (folder: string): number | null => {
  const [quota, period] = (read(`${folder}/cpu.max`) ?? '').trim().split(' ').map(Number)
  return ratio(quota, period)
}

/** A quota of -1 is none. */
const quotaOfV1 = (folder: string): number | null =>
  ratio(Number(read(`${folder}/cpu.cfs_quota_us`)), Number(read(`${folder}/cpu.cfs_period_us`)))

const ratio = (quota = Number.NaN, period = Number.NaN): number | null =>
  quota > 0 && period > 0 ? quota / period : null

const read = (path: string): string | null => {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return null
  }
}
