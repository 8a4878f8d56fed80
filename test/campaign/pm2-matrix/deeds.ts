// What is done to a supervisor under pm2, each by pm2's own command, and what must be so afterwards.

import type { SupervisorStatus } from '../../../src/shared/status.js'
import { eventually } from '../../support/deadline.js'
import type { Deed } from './cells.js'
import { NAME, type Pm2World } from './world.js'

/** For pm2 to give something up, or to be told (ms). */
const SOON = 20_000

/** Every deed begins with a supervisor that is up, and leaves one that is. */
export const DEEDS: Readonly<Record<Deed, (world: Pm2World, before: SupervisorStatus) => Promise<void>>> = {
  sendSignal: async (world, { generation, pid }) => {
    await succeeds(world, 'sendSignal', 'SIGUSR2', NAME)
    const after = await world.isUp((status) => status.generation === generation + 1, 'the next generation')
    if (after.pid !== pid) world.violate('a rolling restart changed the supervisor')
  },
  trigger: async (world, { generation, pid }) => {
    const { output } = await succeeds(world, 'trigger', NAME, 'reload')
    if (!/"success":true/.test(output)) world.violate(`pm2 trigger says ${output}`)
    const after = await world.isUp()
    if (after.generation !== generation + 1 || after.pid !== pid)
      world.violate(
        `after pm2 trigger generation ${generation} of ${pid} is ${after.generation} of ${after.pid}`,
      )
  },
  restart: (world, before) => restartedBy(world, before, 'restart'),
  reload: (world, before) => restartedBy(world, before, 'reload'),
  stop: async (world) => {
    await succeeds(world, 'stop', NAME)
    await nothingRuns(world, 'pm2 stop')
    await isStopped(world)
    await succeeds(world, 'start', NAME)
    await world.isUp()
  },
  delete: async (world) => {
    await succeeds(world, 'delete', NAME)
    await nothingRuns(world, 'pm2 delete')
    await world.start()
  },
  scale: async (world, { pid }) => {
    const starts = world.starts()
    // It waits for a `ready` that does not come, for as long as it was told: it is not waited for.
    const scaling = world.pm2.run('scale', NAME, '2')
    const second = await eventually(
      async () => (await world.pm2.rows()).filter((row) => row.name === NAME)[1],
      (row) => row !== undefined && row.pm2_env.exit_code === 78,
      { what: 'the second instance to have ended with 78', timeout: SOON },
    )
    if (!/pm2 has started it a second time; take that out with 'pm2 delete \d+'/.test(world.log()))
      world.violate('who scales by pm2 is not told the fix')
    await world.pm2.run('delete', String(second?.pm_id))
    await scaling
    const after = await world.isUp()
    if (after.pid !== pid) world.violate('pm2 scale has touched the first instance')
    tookOneStart(world, starts, 'pm2 scale')
  },
  resurrect: async (world, { pid }) => {
    await succeeds(world, 'save')
    const starts = world.starts()
    world.pm2.killDaemon()
    const { code, output } = await world.pm2.run('resurrect')
    if (code !== 0) world.violate(`pm2 resurrect ended with ${code}: ${output}`)
    await world.isUp((status) => status.pid !== pid, 'another supervisor')
    tookOneStart(world, starts, 'pm2 resurrect')
  },
  'instances: 1': async (world) => {
    await succeeds(world, 'delete', NAME)
    // pm2 5 that waits for `ready` calls it online when listen_timeout is over, although it has long ended.
    const waits = world.cell.major === 5 ? { wait_ready: false } : {}
    const changes = { exec_mode: undefined, instances: 1, exp_backoff_restart_delay: undefined, ...waits }
    await world.pm2.run('start', world.pm2.file(world.app(changes)))
    const row = await eventually(
      () => world.row(),
      ({ pm2_env }) => /stopped|errored/.test(pm2_env.status),
      { what: 'pm2 to give it up', timeout: SOON },
    )
    const { status, exec_mode } = row.pm2_env
    if (exec_mode !== 'cluster_mode' || status !== 'stopped')
      world.violate(`with instances: 1 it is ${status} in ${exec_mode}`)
    if (!/set exec_mode: 'fork' in its ecosystem file and take `instances` \(or -i\) out/.test(world.log()))
      world.violate('who runs it in cluster mode is not told the fix')
    await nothingRuns(world, 'the refusal')
    await succeeds(world, 'delete', NAME)
    await world.start()
  },
}

const succeeds = async (world: Pm2World, ...args: string[]) => {
  const result = await world.pm2.run(...args)
  if (result.code !== 0)
    world.violate(`pm2 ${args.join(' ')} ended with ${result.code}: ${result.output.trim()}`)
  return result
}

const restartedBy = async (world: Pm2World, before: SupervisorStatus, command: string): Promise<void> => {
  const starts = world.starts()
  await succeeds(world, command, NAME)
  await world.isUp(({ pid }) => pid !== before.pid, 'another supervisor')
  tookOneStart(world, starts, `pm2 ${command}`)
}

/** By pm2's log: its count of restarts goes up by two where it does not find a `ps`. */
const tookOneStart = (world: Pm2World, before: number, what: string): void => {
  const starts = world.starts() - before
  if (starts !== 1) world.violate(`${what} took ${starts} starts`)
}

const nothingRuns = async (world: Pm2World, after: string): Promise<void> => {
  const left = world.pm2.services().map(({ pid, command }) => `${pid} ${command}`)
  if (left.length > 0) world.violate(`after ${after} there is still ${left.join('; ')}`)
  await world.isDisconnected()
}

const isStopped = async (world: Pm2World): Promise<void> => {
  const { status } = (await world.row()).pm2_env
  if (status !== 'stopped') world.violate(`after pm2 stop it is ${status}`)
}
