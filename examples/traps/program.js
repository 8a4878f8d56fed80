// One program of a trap, as a child in a process group of its own: what it prints, its HTTP server, and its end together
// with the end of all that it started. What is done to it in which trap is scenes.js.
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
/** ms, for whatever is waited for. */
const PATIENCE = 15_000

export class Program {
  /** What it printed, stdout and stderr together. @type {string[]} */
  lines = []
  #child
  #env
  #over
  #isOver = false
  /** Called whenever there is something new to see. @type {Set<() => void>} */
  #lookers = new Set()

  /** @param {readonly string[]} command Arguments of node. @param {NodeJS.ProcessEnv} env */
  constructor(command, env) {
    this.#env = env
    // Detached makes it the leader of a process group: who outlives it is still found by its number.
    const child = spawn(process.execPath, [...command], {
      cwd: ROOT,
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    })
    for (const stream of [child.stdout, child.stderr]) {
      createInterface({ input: stream }).on('line', (line) => {
        this.lines.push(line)
        this.#look()
      })
    }
    this.#over = new Promise((resolve) => child.once('exit', () => resolve(undefined))).then(() => {
      this.#isOver = true
      this.#look()
    })
    this.#child = child
  }

  /**
   * Settles when so many lines match, printed already or yet to come.
   *
   * @param {RegExp} pattern @param {number} [count] @returns {Promise<RegExpExecArray>} the last of them
   */
  async waitForLine(pattern, count = 1) {
    const matches = () => this.lines.map((line) => pattern.exec(line)).filter((match) => match !== null)
    await this.#until(() => matches().length >= count || this.#isOver, `${count} lines like ${pattern}`)
    const found = matches()[count - 1]
    if (found === undefined) throw new Error(`it ended before ${pattern}:\n${this.lines.join('\n')}`)
    return found
  }

  /** Posts to its server. @param {string} text @returns {Promise<string>} what it answers */
  async post(text) {
    const [, port] = await this.waitForLine(/listening .*port: (\d+)/)
    const url = `http://127.0.0.1:${port}/`
    const answer = await fetch(url, { method: 'POST', body: text, headers: { connection: 'close' } })
    return answer.text()
  }

  /** Runs `supervisor …` for it. @param {...string} words @returns {Promise<{ code: number | null, output: string }>} */
  async supervisor(...words) {
    const command = new Program(['bin/supervisor.js', ...words], this.#env)
    await command.over()
    return { code: command.#child.exitCode, output: command.lines.join('\n') }
  }

  /** @param {NodeJS.Signals} signal */
  signal(signal) {
    this.#child.kill(signal)
  }

  /** Settles when it has ended by itself. */
  over() {
    return this.#until(() => this.#isOver, 'its end')
  }

  /** Ends whoever is left of its group, as no trap would do by itself. */
  async clear() {
    if (this.#child.pid === undefined) return
    try {
      process.kill(-this.#child.pid, 'SIGKILL')
    } catch {
      // Nobody is left.
    }
    await this.#over
  }

  /** @param {() => boolean} isSo @param {string} what @returns {Promise<void>} */
  #until(isSo, what) {
    return new Promise((resolve, reject) => {
      const end = () => {
        clearTimeout(timer)
        this.#lookers.delete(look)
      }
      const look = () => {
        if (!isSo()) return
        end()
        resolve()
      }
      const timer = setTimeout(() => {
        end()
        reject(new Error(`waited ${PATIENCE} ms for ${what}; it printed:\n${this.lines.join('\n')}`))
      }, PATIENCE)
      this.#lookers.add(look)
      look()
    })
  }

  #look() {
    for (const look of this.#lookers) look()
  }
}
