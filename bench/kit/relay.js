// A relay, its upstream and its disk, for bench/callers.js and bench/relay.js.
import { fork, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import {
  closeSync,
  existsSync,
  fdatasyncSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeSync,
} from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { median } from './figures.js'
import { launch, ROOT, undoOnExit } from './launch.js'

const PATIENCE = 60_000
const SYNCS = 300
const MEMORY = ['tmpfs', 'ramfs']

/** Runs `use` with a folder on a disk, and tells what that is. @template T @param {(folder: string, disk: string) => Promise<T>} use */
export async function onDisk(use) {
  const places = [tmpdir(), '/var/tmp']
  const place = places.find((each) => !MEMORY.includes(fileSystemOf(each))) ?? tmpdir()
  const folder = mkdtempSync(join(place, 'forksafe-bench-'))
  const remove = () => rmSync(folder, { recursive: true, force: true })
  const forget = undoOnExit(remove)
  try {
    return await use(folder, fileSystemOf(place))
  } finally {
    remove()
    forget()
  }
}

/** @param {string} folder */
const fileSystemOf = (folder) =>
  spawnSync('stat', ['-f', '-c', '%T', folder], { encoding: 'utf8' })
    .stdout.trim()
    .replace('ext2/ext3', 'ext4')

/** ms that an fdatasync after an append of 256 bytes takes, the middle one of many. @param {string} folder */
export function syncTime(folder) {
  const file = join(folder, 'syncs')
  const fd = openSync(file, 'a')
  const bytes = Buffer.alloc(256, 46)
  const times = Array.from({ length: SYNCS }, () => {
    const begun = performance.now()
    writeSync(fd, bytes)
    fdatasyncSync(fd)
    return performance.now() - begun
  })
  closeSync(fd)
  rmSync(file)
  return median(times)
}

/** A program that talks over IPC, ended with this process. @param {string} program @param {string[]} args @param {NodeJS.ProcessEnv} [env] */
export function startPeer(program, args, env = {}) {
  const child = fork(join(ROOT, program), args, { env: { ...process.env, ...env } })
  const forget = undoOnExit(() => child.kill('SIGKILL'))
  const end = async () => {
    child.kill('SIGKILL')
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
    forget()
  }
  return { child, end }
}

/** Runs a program to its one message. @param {string} program @param {object} task @param {NodeJS.ProcessEnv} [env] @returns {Promise<any>} */
export async function runPeer(program, task, env) {
  const { child, end } = startPeer(program, [JSON.stringify(task)], env)
  const ended = once(child, 'exit').then(([code]) => {
    throw new Error(`${program} ended with ${code}`)
  })
  try {
    const [result] = await Promise.race([once(child, 'message'), ended])
    return result
  } finally {
    ended.catch(() => {})
    await end()
  }
}

/** @typedef {{ accepts: number, messages: number, outOfOrder: number, last: number }} Counts */

/** bench/peers/counting-upstream.js. @param {{ port?: number, tls?: { key: string, cert: string } }} [options] */
export async function startCounter({ port = 0, tls } = {}) {
  const { child, end } = startPeer('bench/peers/counting-upstream.js', [
    String(port),
    ...(tls === undefined ? [] : [tls.key, tls.cert]),
  ])
  const [listening] = await once(child, 'message')
  /** @returns {Promise<Counts>} */
  const counts = async (isReset = false) => {
    child.send(isReset)
    const [counted] = await once(child, 'message')
    return counted
  }
  return {
    port: Number(listening),
    url: `${tls === undefined ? 'ws' : 'wss'}://localhost:${listening}/`,
    counts,
    /** Settles when so many messages have come. @param {number} messages */
    have: (messages) =>
      until(async () => (await counts()).messages >= messages, `${messages} messages upstream`),
    end,
  }
}

/** `supervisor relay` with one worker. @param {{ folder: string, url: string, flags?: string[], env?: NodeJS.ProcessEnv }} options */
export async function startRelay({ folder, url, flags = [], env = {} }) {
  const socketPath = join(folder, 'forksafe-relay', 'relay.sock')
  const args = ['bin/supervisor.js', 'relay', '--to', `feed=${url}`, '--listen', `unix:${socketPath}`]
  args.push('--spool', join(folder, 'spool'), '--name', 'relay', '-i', '1', ...flags)
  const { pid, end } = launch(args, { FORKSAFE_HOME: join(folder, 'run'), ...env })
  await until(() => answers(socketPath), 'the relay to answer')
  return { pid, socketPath, owner: () => childOf(pid), end }
}

/** @param {string} socketPath @returns {Promise<boolean>} */
const answers = (socketPath) =>
  new Promise((resolve) => {
    if (!existsSync(socketPath)) return resolve(false)
    const socket = connect(socketPath)
    socket.on('connect', () => {
      resolve(true)
      socket.destroy()
    })
    socket.on('error', () => resolve(false))
  })

/** @param {number} pid */
function childOf(pid) {
  const found = readdirSync('/proc').find((name) => {
    try {
      const stat = /^\d+$/.test(name) ? readFileSync(`/proc/${name}/stat`, 'latin1') : ''
      return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]) === pid
    } catch {
      return false
    }
  })
  if (found === undefined) throw new Error('the relay has no worker')
  return Number(found)
}

/** @param {() => boolean | Promise<boolean>} isDone @param {string} what @param {number} [patience] */
export async function until(isDone, what, patience = PATIENCE) {
  const end = performance.now() + patience
  while (!(await isDone())) {
    if (performance.now() > end) throw new Error(`waited ${patience} ms for ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}
