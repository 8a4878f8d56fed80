// A port on loopback where a connection is neither taken nor refused: the kernel drops each SYN, because the queue of a
// listener that never accepts is full.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect } from 'node:net'
import { createInterface } from 'node:readline'
import { cleanEnv } from '../../support/clean-children.js'

/** Connections that fit into the queue of fixtures/never-accepts.js. */
const FILLING = 2

export interface BlackHole {
  url: string
  port: number
  stop(): Promise<void>
}

export const blackHole = async (): Promise<BlackHole> => {
  const listener = spawn(process.execPath, ['test/client/hostile/fixtures/never-accepts.js'], {
    env: cleanEnv(),
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const exited = once(listener, 'close')
  const lines = createInterface({ input: listener.stdout })
  const [line] = (await once(lines, 'line')) as [string]
  lines.close()
  const port = Number(line.split(' ')[1])
  const fillers = Array.from({ length: FILLING }, () => connect(port, '127.0.0.1'))
  await Promise.all(fillers.map((filler) => once(filler, 'connect')))
  return {
    url: `ws://127.0.0.1:${port}`,
    port,
    stop: async () => {
      for (const filler of fillers) filler.destroy()
      listener.kill('SIGKILL')
      await exited
    },
  }
}
