// systemd's end of NOTIFY_SOCKET, as far as a service sees it: a datagram socket in a process of its own (Node has none
// of the kind) that writes down each message, when it came and from which process, and lets go of barriers.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Test } from 'tap'
import { cleanEnv } from './clean-children.js'
import { eventually, withDeadline } from './deadline.js'
import { endingWithUs } from './ending-with-us.js'

export const PYTHON = '/usr/bin/python3'

const PROGRAM = `
import array, json, os, socket, sys, time
receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
receiver.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
receiver.bind(sys.argv[1].replace('@', chr(0), 1))
print('ready', flush=True)
while True:
    data, ancillary, _, _ = receiver.recvmsg(8192, 1024)
    at = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    pid = 0
    for _, kind, value in ancillary:
        if kind == socket.SCM_CREDENTIALS:
            pid = array.array('i', value)[0]
    print(json.dumps({'at': at, 'pid': pid, 'text': data.decode()}), flush=True)
    for _, kind, value in ancillary:
        if kind == socket.SCM_RIGHTS:
            for descriptor in array.array('i', value):
                os.close(descriptor)
`

export interface Notification {
  /** CLOCK_MONOTONIC in microseconds. */
  at: number
  /** Who sent it, or in whose name. */
  pid: number
  variables: Record<string, string>
}

export interface NotifyReceiver {
  /** For NOTIFY_SOCKET. */
  socket: string
  /** What came, without barriers. */
  received: Notification[]
  /** What systemd acts on: READY, RELOADING, STOPPING, in the order of their coming. */
  turns(): string[]
  statuses(): string[]
  /** Settles with the first message, come already or yet to come, that is as wanted. */
  waitFor(isWanted: (message: Notification) => boolean, what: string, timeout?: number): Promise<Notification>
  /** SIGSTOP, SIGCONT: a manager that is too busy to read. */
  signal(signal: NodeJS.Signals): void
}

export const notifyReceiver = async (
  t: Test,
  { isAbstract = false }: { isAbstract?: boolean } = {},
): Promise<NotifyReceiver> => {
  const folder = mkdtempSync(join(tmpdir(), 'forksafe-notify-'))
  const socket = isAbstract ? `@${join(folder, 'notify')}` : join(folder, 'notify')
  const [command = PYTHON, ...args] = endingWithUs('SIGKILL', [PYTHON, '-c', PROGRAM, socket])
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'], env: cleanEnv({}) })
  const exited = once(child, 'exit')
  t.teardown(async () => {
    child.kill('SIGKILL')
    await exited
    rmSync(folder, { recursive: true })
  })
  const received: Notification[] = []
  const isUp = new Promise<void>((resolve, reject) => {
    createInterface({ input: child.stdout }).on('line', (line) => {
      if (line === 'ready') return resolve()
      const { text, ...message }: { at: number; pid: number; text: string } = JSON.parse(line)
      if (text !== 'BARRIER=1') received.push({ ...message, variables: variablesIn(text) })
    })
    exited.then(() => reject(new Error('the receiver ended')), reject)
  })
  await withDeadline(isUp, { what: 'the receiver of notifications' })
  return {
    socket,
    received,
    turns: () => received.flatMap(({ variables }) => TURNS.filter((name) => variables[name] === '1')),
    statuses: () => received.flatMap(({ variables }) => variables.STATUS ?? []),
    waitFor: async (isWanted, what, timeout = 10_000) => {
      const last = () => `${what}; came: ${JSON.stringify(received.map(({ variables }) => variables))}`
      const found = await eventually(
        () => received.find(isWanted),
        (message) => message !== undefined,
        { what, timeout },
      ).catch(() => undefined)
      if (found === undefined) throw new Error(`waited ${timeout} ms for ${last()}`)
      return found
    },
    signal: (signal) => void child.kill(signal),
  }
}

const TURNS = ['READY', 'RELOADING', 'STOPPING']

const variablesIn = (text: string): Record<string, string> =>
  Object.fromEntries(
    text.split('\n').map((line) => {
      const at = line.indexOf('=')
      return [line.slice(0, at), line.slice(at + 1)]
    }),
  )
