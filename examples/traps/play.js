// Plays one program of a trap against an upstream that writes down every connection, and counts. run.js prints the
// counts, test/process/traps.test.ts compares them with README.md.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startUpstream } from '../feed/upstream.js'
import { Program } from './program.js'
import { SCENES } from './scenes.js'

/**
 * @typedef {object} Counts What the upstream counted.
 * @property {number} opened WebSockets in all.
 * @property {number} atOnce Most that were open at once.
 * @property {number} open Open when all was done, before the program was told to stop.
 * @property {number | null} sent Messages that the program takes for sent; null where it sends none.
 * @property {number} arrived Messages that arrived.
 * @property {number | null} known Connections that somebody on our side knows of; null where nobody was asked.
 * @property {number} closed WebSockets that had ended with a Close frame when the program had been stopped.
 * @property {number} cut The others that had ended.
 * @property {number} left Open still.
 */

/**
 * @param {string} name A folder of examples/traps.
 * @param {'trap' | 'ours'} version
 * @param {{ env?: NodeJS.ProcessEnv, signal?: AbortSignal }} [options] Environment of the program; what ends it early.
 * @returns {Promise<Counts>}
 */
export const play = async (name, version, { env = process.env, signal } = {}) => {
  const scene = SCENES[name]
  if (scene === undefined) throw new Error(`no trap ${name}; there are ${Object.keys(SCENES).join(', ')}`)
  const isOurs = version === 'ours'

  const upstream = await startUpstream({ echoes: scene.echoes ?? false })
  let atOnce = 0
  upstream.on('record', ({ openNow }) => {
    atOnce = Math.max(atOnce, openNow)
  })
  // A runtime folder of its own: other supervisors of the same user are not disturbed.
  const home = mkdtempSync(join(tmpdir(), 'forksafe-trap-'))
  const program = new Program(commandOf(name, version), {
    ...env,
    UPSTREAM: upstream.url,
    FORKSAFE_HOME: home,
  })
  try {
    const { sent = null, known = null } = await unlessAborted(
      signal,
      scene.play({ upstream, program, isOurs }),
    )
    const open = upstream.open.length
    const arrived = upstream.messages.length
    program.signal('SIGTERM')
    await program.over()
    const left = isOurs ? 0 : (scene.outlive ?? 0)
    await upstream.waitFor(() => upstream.open.length <= left, { what: 'the end of its connections' })
    const cut = upstream.closedWithoutCloseFrame.length
    const opened = upstream.upgraded.length
    const stillOpen = upstream.open.length
    return {
      opened,
      atOnce,
      open,
      sent,
      arrived,
      known,
      closed: opened - cut - stillOpen,
      cut,
      left: stillOpen,
    }
  } finally {
    await program.clear()
    await upstream.stop()
    rmSync(home, { recursive: true, force: true })
  }
}

/** Arguments of node. @param {string} name @param {'trap' | 'ours'} version */
export const commandOf = (name, version) => {
  const script = `examples/traps/${name}/${version}.js`
  const flags = SCENES[name]?.underSupervisor
  return version === 'trap' || flags === undefined
    ? [script]
    : ['bin/supervisor.js', 'start', script, ...flags]
}

/** @template Value @param {AbortSignal | undefined} signal @param {Promise<Value>} promise @returns {Promise<Value>} */
const unlessAborted = async (signal, promise) => {
  if (signal === undefined) return promise
  signal.throwIfAborted()
  let onAbort = () => {}
  const aborted = new Promise((_resolve, reject) => {
    onAbort = () => reject(signal.reason)
  })
  signal.addEventListener('abort', onAbort)
  try {
    await Promise.race([promise, aborted])
    return await promise
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}
