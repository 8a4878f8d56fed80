// PHP-FPM behind nginx for one test: real processes with configurations of their own in a folder of the test, sockets
// instead of ports, children of another user than root. Ended with the test.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { Agent, request } from 'node:http'
import { join } from 'node:path'
import type { Test } from 'tap'
import { cleanEnv } from './clean-children.js'
import { eventually, withDeadline } from './deadline.js'
import { endingWithUs } from './ending-with-us.js'
import { descendantsOf } from './process-tree.js'

export const PHP_FPM = '/usr/sbin/php-fpm8.2'
export const NGINX_FILE = '/usr/sbin/nginx'
export const PHP_USER = 'www-data'

export interface PhpPoolOptions {
  /** Empty, and its parents can be entered by everybody. */
  folder: string
  children: number
  /** Folder of the pages. */
  pages: string
  /** What pages find in $_SERVER. */
  variables: Readonly<Record<string, string>>
}

export class PhpPool {
  readonly #fpm: ChildProcess
  readonly #socket: string
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 40 })

  private constructor(fpm: ChildProcess, socket: string) {
    this.#fpm = fpm
    this.#socket = socket
  }

  static async start(t: Test, options: PhpPoolOptions): Promise<PhpPool> {
    const { folder } = options
    const nginxFolder = join(folder, 'nginx')
    mkdirSync(nginxFolder)
    writeFileSync(join(folder, 'fpm.conf'), fpmConfiguration(options))
    writeFileSync(join(nginxFolder, 'nginx.conf'), nginxConfiguration(nginxFolder, options))
    const fpm = start(t, [PHP_FPM, '-n', '-F', '-R', '-y', join(folder, 'fpm.conf'), '-p', folder])
    await listens(join(folder, 'fpm.sock'), fpm)
    const nginx = start(t, [NGINX_FILE, '-c', 'nginx.conf', '-p', nginxFolder, '-e', 'stderr'])
    await listens(join(nginxFolder, 'http.sock'), nginx)
    const pool = new PhpPool(fpm.child, join(nginxFolder, 'http.sock'))
    t.teardown(() => pool.#agent.destroy())
    return pool
  }

  /** Status and body. */
  get(path: string): Promise<{ status: number; body: string }> {
    return new Promise((resolve, reject) => {
      const asked = request({ socketPath: this.#socket, path, agent: this.#agent }, (response) => {
        let body = ''
        response.setEncoding('utf8').on('data', (piece: string) => {
          body += piece
        })
        response.on('end', () => resolve({ status: response.statusCode ?? 0, body }))
        response.on('error', reject)
      })
      asked.on('error', reject).end()
    })
  }

  /** Open descriptors of each child. */
  descriptors(): number[] {
    return descendantsOf(this.#fpm.pid ?? 0).map(({ pid }) => readdirSync(`/proc/${pid}/fd`).length)
  }
}

interface Started {
  child: ChildProcess
  complaints: () => string
}

const start = (t: Test, command: readonly string[]): Started => {
  const [program = '', ...args] = endingWithUs('SIGTERM', command)
  const child = spawn(program, args, { env: cleanEnv(), stdio: ['ignore', 'ignore', 'pipe'] })
  let complaints = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    complaints = (complaints + text).slice(-4_000)
  })
  const ended = once(child, 'close')
  t.teardown(async () => {
    // Of both SIGTERM is the fast way: children and workers go with their master.
    child.kill('SIGTERM')
    await withDeadline(ended, { what: `${command[0]} to end`, last: () => complaints })
  })
  return { child, complaints: () => complaints }
}

const listens = (socket: string, { child, complaints }: Started): Promise<unknown> =>
  eventually(
    () => {
      if (child.exitCode !== null) throw new Error(`it ended with ${child.exitCode}: ${complaints()}`)
      return existsSync(socket)
    },
    (isThere) => isThere,
    { what: `${socket} to be listened on` },
  )

const fpmConfiguration = ({ folder, children }: PhpPoolOptions): string => `
[global]
error_log = ${folder}/fpm.log
daemonize = no
[pool]
user = ${PHP_USER}
group = ${PHP_USER}
listen = ${folder}/fpm.sock
pm = static
pm.max_children = ${children}
request_terminate_timeout = 30s
`

const nginxConfiguration = (prefix: string, { folder, pages, variables }: PhpPoolOptions): string => `
daemon off;
user root;
worker_processes 1;
pid ${prefix}/nginx.pid;
error_log stderr error;
events {}
http {
  access_log off;
  ${['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((of) => `${of}_temp_path ${prefix}/${of};`).join('\n  ')}
  server {
    listen unix:${prefix}/http.sock;
    keepalive_requests 100000;
    location ~ ^/(.+[.]php)$ {
      fastcgi_pass unix:${folder}/fpm.sock;
      fastcgi_param SCRIPT_FILENAME ${pages}/$1;
      fastcgi_param QUERY_STRING $query_string;
      fastcgi_param REQUEST_METHOD $request_method;
      ${Object.entries(variables)
        .map(([name, value]) => `fastcgi_param ${name} ${value};`)
        .join('\n      ')}
    }
  }
}
`
