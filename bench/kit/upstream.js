// The other side of clients, in a process of its own: one that only reads.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { ROOT, undoOnExit } from './launch.js'

/** A server that reads whatever comes: bench/clients/server.js. */
export async function startReader() {
  const child = fork(join(ROOT, 'bench/clients/server.js'), [])
  const forget = undoOnExit(() => child.kill('SIGKILL'))
  const [port] = await once(child, 'message')
  return {
    port: Number(port),
    pid: child.pid ?? 0,
    end: async () => {
      child.kill('SIGKILL')
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
      forget()
    },
  }
}
