import { availableParallelism } from 'node:os'
import t from 'tap'
import { cgroupQuota, usableCpus } from '../../src/shared/cpu-quota.js'

t.test('version 2: the smallest quota from the own group upwards counts', async (t) => {
  const root = t.testdir({
    proc: { self: { cgroup: '0::/system.slice/app.service\n' } },
    sys: {
      fs: {
        cgroup: {
          'cpu.max': 'max 100000\n',
          'system.slice': { 'cpu.max': '50000 100000\n', 'app.service': { 'cpu.max': '250000 100000\n' } },
        },
      },
    },
  })
  t.equal(cgroupQuota(root), 0.5)
  t.equal(usableCpus(root), 1, 'at least one')
})

t.test('version 1: cfs quota and period, -1 is none', async (t) => {
  const controllers = { 'cpu.cfs_quota_us': '-1\n', 'cpu.cfs_period_us': '100000\n' }
  const root = t.testdir({
    proc: { self: { cgroup: '5:memory:/docker/abc\n4:cpu,cpuacct:/docker/abc\n' } },
    sys: {
      fs: {
        cgroup: {
          'cpu,cpuacct': {
            ...controllers,
            docker: { abc: { 'cpu.cfs_quota_us': '150000\n', 'cpu.cfs_period_us': '100000\n' } },
          },
        },
      },
    },
  })
  t.equal(cgroupQuota(root), 1.5)
})

t.test('version 1: the folder may be called otherwise than the kernel writes it', async (t) => {
  const root = t.testdir({
    proc: { self: { cgroup: '4:cpuacct,cpu:/docker/abc\n' } },
    sys: {
      fs: {
        cgroup: {
          // In a container with its own view of cgroups: the files lie at the mount.
          'cpu,cpuacct': { 'cpu.cfs_quota_us': '250000\n', 'cpu.cfs_period_us': '100000\n' },
        },
      },
    },
  })
  t.equal(cgroupQuota(root), 2.5)
})

t.test('inside a container the files lie at the mount although the path is the host’s', async (t) => {
  const root = t.testdir({
    proc: { self: { cgroup: '0::/kubepods/pod1/abc\n' } },
    sys: { fs: { cgroup: { 'cpu.max': '100000 100000\n' } } },
  })
  t.equal(cgroupQuota(root), 1)
})

t.test('without a quota, or without cgroups, the CPUs of the process count', async (t) => {
  const unlimited = t.testdir({
    proc: { self: { cgroup: '0::/\n' } },
    sys: { fs: { cgroup: { 'cpu.max': 'max 100000\n' } } },
  })
  t.equal(cgroupQuota(unlimited), null)
  t.equal(usableCpus(unlimited), availableParallelism())
  t.equal(cgroupQuota('/nowhere'), null)
})
