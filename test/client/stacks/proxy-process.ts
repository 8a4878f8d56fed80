// nginx and haproxy as they stand in front of WebSocket servers: real processes with a configuration of their own in a
// temporary folder, in the foreground, ended with the test.

import { type ChildProcess, spawn } from 'node:child_process'
import { EventEmitter, once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Test } from 'tap'
import { eventually, withDeadline } from '../../support/deadline.js'
import { endingWithUs } from '../../support/ending-with-us.js'
import { freePort } from '../../support/free-port.js'
import { needsPackage } from '../../support/tools.js'

export interface Place {
  folder: string
  port: number
  /** The server behind it: a unix socket, whose name stays while servers come and go. */
  socket: string
  /** ms that connections have to end by themselves after a reload; null: for ever. */
  patience: number | null
}

export interface ProxyKind {
  name: 'nginx' | 'haproxy'
  /** For a test that runs it. */
  needs: { skip: string } | Record<string, never>
  args(file: string, folder: string): string[]
  configuration(place: Place): string
  reloadSignal: NodeJS.Signals
  /** Says that a configuration, the first or a new one, is at work. */
  atWork: RegExp
  /** Where its master can be asked whether it listens to signals again: haproxy's loses one that comes before that. */
  console?: (folder: string) => string
}

export const NGINX: ProxyKind = {
  name: 'nginx',
  needs: needsPackage('nginx-light', '/usr/sbin/nginx'),
  args: (file, folder) => ['-c', file, '-p', folder, '-e', 'stderr'],
  configuration: ({ folder, port, socket, patience }) => `
    daemon off;
    ${process.getuid?.() === 0 ? 'user root;' : ''}
    worker_processes 1;
    pid ${folder}/nginx.pid;
    error_log stderr notice;
    ${patience === null ? '' : `worker_shutdown_timeout ${patience}ms;`}
    events {}
    http {
      access_log off;
      ${['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((of) => `${of}_temp_path ${folder}/${of};`).join('\n')}
      server {
        listen 127.0.0.1:${port};
        location / {
          proxy_pass http://unix:${socket}:/;
          proxy_http_version 1.1;
          proxy_set_header Upgrade $http_upgrade;
          proxy_set_header Connection upgrade;
        }
      }
    }`,
  reloadSignal: 'SIGHUP',
  atWork: /start worker process \d/,
}

export const HAPROXY: ProxyKind = {
  name: 'haproxy',
  needs: needsPackage('haproxy', '/usr/sbin/haproxy'),
  args: (file, folder) => ['-W', '-S', `unix@${folder}/console`, '-f', file],
  configuration: ({ port, socket, patience }) => `
global
  maxconn 200
  ${patience === null ? '' : `hard-stop-after ${patience}ms`}
defaults
  mode http
  retries 0
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  timeout tunnel 1h
listen websockets
  bind 127.0.0.1:${port}
  server only unix@${socket}
`,
  reloadSignal: 'SIGUSR2',
  atWork: /Loading success/,
  console: (folder) => join(folder, 'console'),
}

export class ProxyProcess extends EventEmitter<{ line: [] }> {
  readonly url: string
  readonly #kind: ProxyKind
  readonly #folder: string
  readonly #process: ChildProcess
  readonly #lines: string[] = []

  private constructor(kind: ProxyKind, { folder, port }: Place, file: string) {
    super()
    this.url = `ws://127.0.0.1:${port}/`
    this.#kind = kind
    this.#folder = folder
    // A group of its own: its workers outlive a master that is killed.
    const command = [`/usr/sbin/${kind.name}`, ...kind.args(file, folder)]
    const [program = '', ...args] = endingWithUs('SIGTERM', command)
    this.#process = spawn(program, args, {
      detached: true,
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    createInterface({ input: this.#process.stderr as NodeJS.ReadableStream }).on('line', (line) => {
      this.#lines.push(line)
      this.emit('line')
    })
  }

  static async start(
    t: Test,
    kind: ProxyKind,
    given: Pick<Place, 'socket' | 'patience'>,
  ): Promise<ProxyProcess> {
    const folder = mkdtempSync(join(tmpdir(), `forksafe-${kind.name}-`))
    const place = { ...given, folder, port: await freePort() }
    const file = join(folder, 'configuration')
    writeFileSync(file, kind.configuration(place))
    const proxy = new ProxyProcess(kind, place, file)
    t.teardown(async () => {
      await proxy.#end()
      rmSync(folder, { recursive: true })
    })
    await proxy.#configured(1)
    return proxy
  }

  /** New workers take what comes from now on; the old ones keep their connections as long as they may. */
  async reload(): Promise<void> {
    const next = this.#timesConfigured + 1
    await this.#attentive()
    this.#process.kill(this.#kind.reloadSignal)
    await this.#configured(next)
  }

  /** Settles when its master answers, so that it is in its loop and hears signals. */
  async #attentive(): Promise<void> {
    const path = this.#kind.console?.(this.#folder)
    if (path === undefined) return
    await eventually(
      () => isAnswered(path),
      (isAttentive) => isAttentive,
      { what: `the master of ${this.#kind.name} to answer` },
    )
  }

  get #timesConfigured(): number {
    return this.#lines.filter((line) => this.#kind.atWork.test(line)).length
  }

  async #configured(times: number): Promise<void> {
    const wait = async (): Promise<void> => {
      while (this.#timesConfigured < times) await once(this, 'line')
    }
    await withDeadline(wait(), {
      what: `${this.#kind.name} to be at work`,
      last: () => this.#lines.slice(-5).join('\n'),
    })
  }

  async #end(): Promise<void> {
    const { pid, exitCode, signalCode } = this.#process
    if (pid === undefined) return
    if (exitCode === null && signalCode === null) await this.#attentive()
    const gone = exitCode === null && signalCode === null ? once(this.#process, 'close') : null
    this.#process.kill('SIGTERM')
    await withDeadline(Promise.resolve(gone), { what: `${this.#kind.name} to end` }).finally(() => {
      try {
        process.kill(-pid, 'SIGKILL')
      } catch {}
    })
  }
}

/** While a master begins anew its console refuses, or ends without an answer. */
const isAnswered = (console: string): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(console, () => socket.write('show proc\n'))
    socket.once('data', () => {
      resolve(true)
      socket.destroy()
    })
    socket.on('error', () => {})
    socket.once('close', () => resolve(false))
  })
