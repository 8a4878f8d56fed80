// A live systemd for one test: its user manager in namespaces and a cgroup of its own (fixtures/live-systemd.sh), asked by
// systemctl. It is not the one that booted a machine, and sees nobody that it has not started. What only stands for its
// end of the protocol, and needs no root, is notify-receiver.ts.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  writeFileSync,
} from 'node:fs'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import type { Test } from 'tap'
import { cleanEnv } from './clean-children.js'
import { eventually, withDeadline } from './deadline.js'
import { endingWithUs } from './ending-with-us.js'
import { PYTHON } from './notify-receiver.js'

const SCRIPT = resolve('test/support/fixtures/live-systemd.sh')
const COMMAND_TIMEOUT = 60_000
/** What every unit needs; `exit.target` and `shutdown.target` also to be loaded at all. */
const TARGETS = ['default', 'basic', 'shutdown', 'sockets', 'timers', 'paths', 'exit']

/** Where the kernel's one hierarchy of cgroups is; null: nowhere. */
const cgroupFolder = (): string | null => {
  const mounts = readFileSync('/proc/self/mountinfo', 'utf8')
  return /^(?:\S+ ){4}(\S+) .* - cgroup2 /m.exec(mounts)?.[1] ?? null
}

/** Options for a test that needs it. It makes a cgroup on the machine that it runs on, so somebody has to ask for it. */
export const needsLiveSystemd = (): { skip: string } | Record<string, never> => {
  if (process.env.FORKSAFE_LIVE_SYSTEMD !== '1')
    return { skip: 'it makes a cgroup on this machine; ask for it by FORKSAFE_LIVE_SYSTEMD=1, as root' }
  const isThere = ['/lib/systemd/systemd', '/usr/bin/systemd-notify', '/usr/bin/unshare', PYTHON].every(
    existsSync,
  )
  return process.getuid?.() === 0 && isThere && cgroupFolder() !== null
    ? {}
    : { skip: 'root, cgroup2, python3 and the package systemd are needed' }
}

export interface LiveSystemd {
  /** `systemctl`, whatever its exit code. */
  systemctl(...args: string[]): Promise<{ code: number; output: string }>
  /** A property of feed.service. */
  property(name: string): Promise<string>
  waitForProperties(wanted: Record<string, RegExp>, timeout?: number): Promise<void>
  /** Puts feed.service in its place, and has it read. */
  install(unit: string): Promise<void>
}

/** @param feed the folder that the unit finds at /srv/feed. This repository is at /srv/repo. */
export const liveSystemd = async (t: Test, feed: string): Promise<LiveSystemd> => {
  const units = join(feed, 'units')
  mkdirSync(units)
  for (const name of TARGETS) writeFileSync(join(units, `${name}.target`), `[Unit]\nDescription=${name}\n`)
  const cgroup = mkdtempSync(join(cgroupFolder() ?? '/', 'forksafe-test-'))
  const inside = ['unshare', '-C', '-m', '-p', '-f', '--kill-child', '--mount-proc', 'sh', SCRIPT]
  const enter = `echo $$ > ${cgroup}/cgroup.procs && exec "$@"`
  const [command = '', ...args] = endingWithUs('SIGKILL', [
    ...['sh', '-c', enter, 'sh'],
    ...[...inside, feed, units, process.cwd()],
  ])
  const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'], env: cleanEnv({}) })
  const exited = once(child, 'exit')
  t.teardown(async () => {
    child.stdin.end() // Its last process but one: the kernel ends who is left in the pid namespace.
    await withDeadline(exited, { what: 'systemd to be gone' })
    await eventually(
      () => removeCgroup(cgroup),
      (isGone) => isGone,
      { what: 'no process to be left' },
    )
  })
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const answer = async (what: string, timeout: number): Promise<string> => {
    const { value, done } = await withDeadline(lines.next(), { what, timeout })
    if (done === true) throw new Error(`systemd has ended before ${what}`)
    return value
  }
  await answer('systemd to be up', 20_000)

  let last: Promise<unknown> = Promise.resolve()
  const systemctl: LiveSystemd['systemctl'] = (...words) => {
    const ask = async () => {
      child.stdin.write(`systemctl --user ${words.join(' ')}\n`)
      const [code = '', output = ''] = (await answer(`systemctl ${words.join(' ')}`, COMMAND_TIMEOUT)).split(
        ' ',
      )
      return { code: Number(code), output: Buffer.from(output, 'base64').toString() }
    }
    const asked = last.then(ask)
    last = asked.catch(() => {})
    return asked
  }
  const property = async (name: string) => (await systemctl('show', 'feed', '-p', name, '--value')).output
  return {
    systemctl,
    property,
    waitForProperties: async (wanted, timeout = 20_000) => {
      const look = async () => {
        const { output } = await systemctl('show', 'feed', '-p', Object.keys(wanted).join(','))
        return output
      }
      const isWanted = (seen: string): boolean =>
        Object.entries(wanted).every(([name, pattern]) =>
          pattern.test(new RegExp(`^${name}=(.*)$`, 'm').exec(seen)?.[1] ?? ''),
        )
      await eventually(look, isWanted, { what: `feed.service to be ${Object.keys(wanted)}`, timeout })
    },
    install: async (unit) => {
      writeFileSync(join(units, 'feed.service'), unit)
      await systemctl('daemon-reload')
    },
  }
}

/** The kernel removes one only when nobody is in it, and nothing beneath. */
const removeCgroup = (folder: string): boolean => {
  try {
    for (const entry of readdirSync(folder, { withFileTypes: true }))
      if (entry.isDirectory()) removeCgroup(join(folder, entry.name))
    rmdirSync(folder)
  } catch {
    return !existsSync(folder)
  }
  return true
}
