// node bench/callers.js [--rounds 3] [--messages 2000]: callers that each have one message and end. The trap: each opens a
// WebSocket, sends and closes. Against it a bare forwarder that only has it in memory, and the relay, which answers when the
// message is on disk; by new connections and by kept ones, one at a time and 50 at once, the last also over TLS.
import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { median, ratio, ratios, spread } from './kit/figures.js'
import { onDisk, runPeer, startCounter, startPeer, startRelay, syncTime, until } from './kit/relay.js'
import { isTry, measureInRounds, numbersAsked, printTitle } from './kit/rounds.js'
import { printTable } from './kit/table.js'

const MANY = 50
const SIZE = 64
const TIME_WAIT = '06'
const LISTEN = '0A'
/** Both ends of both connections that stay. */
const RESIDENT = 4
const { rounds, messages } = numbersAsked({ rounds: 3, messages: 2_000 }, { messages: 200 })

/** @typedef {{ way: 'trap' | 'bare' | 'relay', isKept: boolean, atOnce: number, isTls: boolean }} Target */
/** @typedef {{ perSecond: number, each: number, p50: number, failed: number, accepts: number, timeWait: number, sync: number }} Figure */
/** @typedef {{ upstream: Awaited<ReturnType<typeof startCounter>>, sockets: { bare: string, relay: string } }} Side */

/** @type {Target[]} */
const targets = [1, MANY].flatMap((atOnce) =>
  [false, true]
    .filter((isTls) => !isTls || atOnce === MANY)
    .flatMap((isTls) => [
      { way: /** @type {const} */ ('trap'), isKept: false, atOnce, isTls },
      ...[false, true].flatMap((isKept) =>
        /** @type {const} */ (['bare', 'relay'])
          .filter((way) => way === 'relay' || !isTls)
          .map((way) => ({ way, isKept, atOnce, isTls })),
      ),
    ]),
)

printTitle(`Short-lived callers: ${messages} messages of ${SIZE} B`, rounds)
await onDisk(async (folder, disk) => {
  const tls = makeCertificate(folder)
  /** The callers' and the relay's trust in it. */
  const env = { NODE_EXTRA_CA_CERTS: tls.cert }
  const sides = {
    plain: await startSide(folder, 'plain', env),
    tls: await startSide(folder, 'tls', env, tls),
  }
  const results = await measureInRounds({
    rounds,
    targets,
    measure: (target) => measure(target, target.isTls ? sides.tls : sides.plain, folder, env),
  })
  for (const { end } of [sides.plain, sides.tls]) await end()
  printRows(results)
  printGoals(results, disk)
})

/** One upstream with a bare forwarder and a relay in front of it. @param {string} folder @param {string} name @param {NodeJS.ProcessEnv} env @param {{ key: string, cert: string }} [tls] */
async function startSide(folder, name, env, tls) {
  const upstream = await startCounter({ ...(tls === undefined ? {} : { tls }) })
  const path = join(folder, `bare-${name}.sock`)
  const bare = startPeer('bench/peers/bare-forwarder.js', [path, upstream.url], env)
  await once(bare.child, 'message')
  const relay = await startRelay({ folder: join(folder, name), url: upstream.url, env })
  await runPeer('bench/clients/caller.js', {
    socketPath: relay.socketPath,
    messages: 1,
    atOnce: 1,
    isKept: false,
    size: SIZE,
  })
  await upstream.have(1)
  return {
    upstream,
    sockets: { bare: path, relay: relay.socketPath },
    end: async () => {
      await relay.end()
      await bare.end()
      await upstream.end()
    },
  }
}

/** @param {Target} target @param {Side} side @param {string} folder @param {NodeJS.ProcessEnv} env @returns {Promise<Figure>} */
async function measure({ way, isKept, atOnce }, { upstream, sockets }, folder, env) {
  await upstream.counts(true)
  await until(() => underWay(upstream.port) <= RESIDENT, 'the sockets of those before to be closed')
  const before = inTimeWait(upstream.port)
  const to = way === 'trap' ? { url: upstream.url } : { socketPath: sockets[way] }
  const task = { ...to, messages, atOnce, isKept, size: SIZE }
  const { seconds, times, failed } = await runPeer('bench/clients/caller.js', task, env)
  await upstream.have(messages - failed)
  const { accepts } = await upstream.counts()
  return {
    perSecond: messages / seconds,
    each: (seconds * 1_000) / messages,
    p50: median(times),
    failed,
    accepts,
    timeWait: Math.max(0, inTimeWait(upstream.port) - before),
    sync: syncTime(folder),
  }
}

/** @param {number} port */
function inTimeWait(port) {
  return socketsOf(port).filter((state) => state === TIME_WAIT).length
}

/** Neither listening nor in TIME_WAIT. @param {number} port */
function underWay(port) {
  return socketsOf(port).filter((state) => state !== TIME_WAIT && state !== LISTEN).length
}

/** States of the sockets of either end. @param {number} port */
function socketsOf(port) {
  const end = `:${port.toString(16).toUpperCase().padStart(4, '0')}`
  return readFileSync('/proc/net/tcp', 'latin1')
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .flatMap(([, local, remote, state]) =>
      local?.endsWith(end) || remote?.endsWith(end) ? String(state) : [],
    )
}

/** @param {string} folder */
function makeCertificate(folder) {
  const key = join(folder, 'key.pem')
  const cert = join(folder, 'cert.pem')
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
  const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost', '-days', '2']
  const made = spawnSync('openssl', ['req', '-x509', ...curve, ...subject, '-keyout', key, '-out', cert], {
    encoding: 'utf8',
  })
  if (made.status !== 0) throw new Error(`openssl: ${made.error?.message ?? made.stderr}`)
  return { key, cert }
}

/** @param {Map<Target, Figure[]>} results @param {Partial<Target>} wanted */
function figuresOf(results, wanted) {
  const found = [...results].find(([target]) =>
    Object.entries(wanted).every(([name, value]) => target[/** @type {keyof Target} */ (name)] === value),
  )
  if (found === undefined) throw new Error(JSON.stringify(wanted))
  return found[1]
}

/** @param {Map<Target, Figure[]>} results */
function printRows(results) {
  const names = { trap: 'a WebSocket each', bare: 'bare forwarder', relay: 'relay' }
  const rows = [...results].map(([target, figures]) => {
    const { way, isKept, atOnce, isTls } = target
    const of = (/** @type {keyof Figure} */ what) => figures.map((figure) => figure[what])
    const trap = figuresOf(results, { way: 'trap', atOnce, isTls }).map(({ perSecond }) => perSecond)
    return [
      `${atOnce === 1 ? 'one at a time' : `${atOnce} at once`}${isTls ? ', wss' : ''}`,
      `${names[way]}${way === 'trap' ? '' : isKept ? ', kept' : ', fresh'}`,
      spread(of('perSecond')),
      ratio(of('perSecond'), trap),
      spread(of('p50'), 2),
      Math.max(...of('failed')),
      Math.max(...of('accepts')),
      Math.max(...of('timeWait')),
    ]
  })
  const head = ['', 'way', 'messages/s', 'to the trap', 'p50, ms', 'failed', 'upstream accepts', 'TIME_WAIT']
  printTable(head, rows)
  console.log(
    'Accepts 0: the one connection was open before. Bare has a message in memory when it answers, the relay on disk.',
  )
}

/** @param {Map<Target, Figure[]>} results @param {string} disk */
function printGoals(results, disk) {
  const sync = [...results.values()].flat().map((figure) => figure.sync)
  const rates = (/** @type {Partial<Target>} */ wanted) =>
    figuresOf(results, wanted).map(({ perSecond }) => perSecond)
  const rows = [false, true].flatMap((isKept) => {
    const connections = isKept ? 'kept' : 'fresh'
    const many = { isKept, atOnce: MANY, isTls: false }
    const toBare = ratios(rates({ ...many, way: 'relay' }), rates({ ...many, way: 'bare' }))
    const one = { isKept, atOnce: 1, isTls: false }
    const bare = figuresOf(results, { ...one, way: 'bare' })
    const more = figuresOf(results, { ...one, way: 'relay' }).map(
      (figure, round) => (figure.each - (bare[round]?.each ?? Number.NaN)) / median(sync),
    )
    const overTls = ratios(
      rates({ way: 'relay', isKept, atOnce: MANY, isTls: true }),
      rates({ way: 'trap', atOnce: MANY, isTls: true }),
    )
    return [
      goal(`${MANY} at once, ${connections}: to the bare forwarder`, toBare, '>= 0.7', median(toBare) >= 0.7),
      goal(`one at a time, ${connections}: fdatasyncs more than bare`, more, '<= 1.5', median(more) <= 1.5),
      goal(`${MANY} at once over wss, ${connections}: to the trap`, overTls, '>= 5', median(overTls) >= 5),
    ]
  })
  printTable(['the relay', 'measured', 'goal', 'met'], rows)
  console.log(`Spool on ${disk}, fdatasync after 256 B there: p50 ${spread(sync, 2)} ms.`)
}

/** @param {string} what @param {readonly number[]} values @param {string} wanted @param {boolean} isMet */
function goal(what, values, wanted, isMet) {
  return [what, spread(values, 2), wanted, isTry ? '-' : isMet ? 'yes' : 'no']
}
