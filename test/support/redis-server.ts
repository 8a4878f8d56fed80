// A real redis-server on a unix socket, so that no port can be taken, for one test; ended with it. What it holds of
// connections is asked with redis-cli.

import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'
import type { Test } from 'tap'
import { withDeadline } from './deadline.js'

export interface RedisServer {
  /** Path of its socket. */
  socket: string
  /** Names of the connections that have one. */
  connections: () => Promise<string[]>
}

/** @param port of the loopback, besides the socket; 0: none. */
export const redisServer = async (t: Test, port = 0): Promise<RedisServer> => {
  const folder = mkdtempSync(join(tmpdir(), 'forksafe-redis-'))
  const socket = join(folder, 'redis.sock')
  const settings = [
    '--port',
    String(port),
    '--bind',
    '127.0.0.1',
    '--unixsocket',
    socket,
    '--save',
    '',
    '--appendonly',
    'no',
    '--dir',
    folder,
  ]
  const server = spawn('redis-server', settings, { stdio: ['ignore', 'pipe', 'inherit'] })
  const exited = once(server, 'exit')
  t.teardown(async () => {
    server.kill('SIGKILL')
    await exited
    rmSync(folder, { recursive: true })
  })
  const listens = new Promise<void>((resolve, reject) => {
    createInterface({ input: server.stdout }).on('line', (line) => {
      if (/ready to accept connections/i.test(line)) resolve()
    })
    exited.then(() => reject(new Error('redis-server ended')), reject)
  })
  await withDeadline(listens, { what: 'redis-server to listen' })
  return {
    socket,
    connections: async () => {
      const { stdout } = await promisify(execFile)('redis-cli', ['-s', socket, 'client', 'list'], {
        timeout: 5_000,
      })
      return [...stdout.matchAll(/ name=(\S+)/g)].map(([, name]) => name ?? '').sort()
    },
  }
}
