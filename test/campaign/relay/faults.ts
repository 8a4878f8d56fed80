// How the faults of a round are done to its world. Which there are, and when, is plan.ts.

import { sleep } from '../sleep.js'
import type { Fault } from './plan.js'
import { canInject, type RelayWorld } from './world.js'

/** One after the other: a fault finds the world that the one before has left. */
export const inflict = async (world: RelayWorld, fault: Fault): Promise<void> => {
  world.tell(JSON.stringify(fault))
  switch (fault.type) {
    case 'kill-worker':
      for (const pid of (await world.workers(fault.whose)).slice(0, 1)) signal(world, pid, 'SIGKILL')
      return
    case 'kill-primary':
      world.supervisor.signal('SIGKILL')
      await world.supervisor.exited
      world.startSupervisor()
      return
    case 'kill-upstream':
      await world.upstream.stop()
      world.tell('the upstream is dead')
      await sleep(fault.downFor)
      return world.startUpstream()
    case 'stop-worker': {
      const [pid] = await world.workers(fault.whose)
      if (pid === undefined) return world.tell('there is none')
      signal(world, pid, 'SIGSTOP')
      await sleep(fault.ms)
      return signal(world, pid, 'SIGCONT')
    }
    case 'stop-upstream':
      world.upstream.signal('SIGSTOP')
      await sleep(fault.ms)
      return world.upstream.signal('SIGCONT')
    case 'reload': {
      const { code } = await world.supervisor.cli('reload')
      return world.tell(`reload ended with ${code}`)
    }
    case 'disk-full': {
      if (!world.hasDisk) return
      const free = world.fillDisk()
      await sleep(fault.ms)
      return free()
    }
    case 'fsync-fails': {
      if (!canInject) return world.tell('left out: strace is missing')
      const pids = [...(await world.workers('owner')), ...(await world.workers('other'))]
      if (pids.length === 0) return world.tell('there is no worker')
      const end = await world.failSyncs(pids, fault.each)
      world.tell(`syncs of ${pids} fail`)
      await sleep(fault.ms)
      await end()
      world.tell('syncs are right again')
    }
  }
}

const signal = (world: RelayWorld, pid: number, name: NodeJS.Signals): void => {
  world.tell(`${name} to ${pid}`)
  try {
    process.kill(pid, name)
  } catch {
    world.tell('it was gone')
  }
}
