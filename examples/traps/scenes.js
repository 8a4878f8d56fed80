// What happens around the two programs of each trap: who calls them, who restarts them, when the upstream fails. Both
// programs of a trap get the same treatment. How they are started, ended and counted is play.js.

/**
 * @typedef {object} Stage
 * @property {import('../feed/upstream.js').RecordingUpstream} upstream
 * @property {import('./program.js').Program} program
 * @property {boolean} isOurs
 */

/**
 * @typedef {object} Told What does not come from the upstream.
 * @property {number} [sent] Messages that the program takes for sent.
 * @property {number} [known] Connections that somebody on our side knows of.
 */

/**
 * @typedef {object} Scene
 * @property {string} title The trap, in the words of README.md.
 * @property {readonly string[]} [underSupervisor] Flags of `supervisor start` for `ours.js`; without them it is run by node.
 * @property {boolean} [echoes] Whether the upstream sends back what it gets.
 * @property {(stage: Stage) => Promise<Told>} play Settles at the moment at which it is counted.
 * @property {number} [outlive] Connections of the trap that are still there when it was told to stop. Default 0.
 */

/** A restart: of the textbook's cluster by a signal, of ours by the command. @param {Stage} stage @param {number} nth */
const restart = async ({ program, isOurs }, nth) => {
  if (!isOurs) {
    program.signal('SIGUSR2')
    await program.waitForLine(/^restarted$/, nth)
    return
  }
  const { code, output } = await program.supervisor('reload')
  if (code !== 0) throw new Error(`supervisor reload ended with ${code}:\n${output}`)
}

/** Of ours under a supervisor, which has nothing to complain of then. @param {Stage} stage */
const auditFindsNothing = async ({ program, isOurs }) => {
  if (!isOurs) return
  const { code, output } = await program.supervisor('audit')
  if (code !== 0) throw new Error(`supervisor audit ended with ${code}:\n${output}`)
}

/** Whoever answers "sent" says that it was. @param {Promise<string>[]} answers */
const countSent = async (answers) => (await Promise.all(answers)).filter((answer) => answer === 'sent').length

/** @type {Record<string, Scene>} */
export const SCENES = {
  'client-per-call': {
    title: 'T1 a client per call',
    play: async ({ upstream }) => {
      await upstream.waitFor(({ messages }) => messages.length === 10, { what: 'ten messages' })
      return { sent: 10 }
    },
  },

  'nobody-listens-to-close': {
    title: 'T2 nobody listens to close',
    play: async ({ upstream, program }) => {
      const first = program.post('order 1')
      await upstream.waitFor(({ messages }) => messages.length === 1, { what: 'the first order' })
      const before = await countSent([first])
      upstream.resetAll()
      await upstream.waitFor(({ open }) => open.length === 0, { what: 'the end of the connection' })
      const later = ['order 2', 'order 3', 'order 4', 'order 5'].map((order) => program.post(order))
      return { sent: before + (await countSent(later)) }
    },
  },

  'restart-without-close': {
    title: 'T3 restart without close',
    underSupervisor: ['--min-uptime', '50ms'],
    outlive: 2,
    play: async (stage) => {
      await stage.program.waitForLine(/listening/)
      for (const nth of [1, 2]) await restart(stage, nth)
      const left = stage.isOurs ? 1 : 3
      await stage.upstream.waitFor(({ open }) => open.length === left, { what: 'what the restarts leave' })
      await auditFindsNothing(stage)
      return {}
    },
  },

  'connect-while-connecting': {
    title: 'T4 connect() while connecting',
    play: async ({ upstream, isOurs }) => {
      const left = isOurs ? 0 : 2
      const isClosed = () => upstream.upgraded.length > left && upstream.open.length === left
      await upstream.waitFor(isClosed, { what: 'the close' })
      return {}
    },
  },

  'send-on-a-dead-socket': {
    title: 'T5 send on a dead socket',
    play: async ({ upstream, program }) => {
      await program.waitForLine(/connected/)
      const first = await countSent([program.post('order 1')])
      await upstream.waitFor(({ messages }) => messages.length === 1, { what: 'the first order' })
      upstream.behaviour.refuseWith = 503
      upstream.resetAll()
      await upstream.waitFor(({ open }) => open.length === 0, { what: 'the end of the connection' })
      const meanwhile = ['order 2', 'order 3', 'order 4'].map((order) => program.post(order))
      await program.waitForLine(/took order/, 4)
      upstream.behaviour.refuseWith = null
      await program.waitForLine(/connected/, 2)
      const sent = first + (await countSent(meanwhile)) + (await countSent([program.post('order 5')]))
      await upstream.waitFor(({ messages }) => messages.includes('order 5'), { what: 'the last order' })
      return { sent }
    },
  },

  'socket-in-a-request': {
    title: 'T6 a long-lived socket inside a request',
    underSupervisor: ['--workers', '2'],
    echoes: true,
    play: async (stage) => {
      const { program, isOurs } = stage
      await program.waitForLine(/listening/, isOurs ? 2 : 1)
      for (let n = 1; n <= 20; n++) {
        const price = await program.post('')
        if (price !== 'subscribe') throw new Error(`answered ${price}`)
      }
      await auditFindsNothing(stage)
      return {}
    },
  },

  'close-with-work-in-flight': {
    title: 'T7 close with work in flight',
    play: async ({ program, upstream }) => {
      // The upstream is busy and does not read: with one that does, it would be up to chance how much is lost.
      upstream.on('record', ({ event }) => event === 'open' && upstream.pause())
      await program.waitForLine(/closing/)
      upstream.resume()
      await program.over()
      await upstream.waitFor(({ connected }) => connected.length === 0, { what: 'the end' })
      return { sent: 60 }
    },
  },

  'a-copy-per-worker': {
    title: 'T8 N workers, N copies',
    underSupervisor: ['--workers', '3', '--min-uptime', '50ms'],
    play: async (stage) => {
      const { upstream, program, isOurs } = stage
      const copies = isOurs ? 1 : 3
      await program.waitForLine(/listening/, 3)
      await upstream.waitFor(({ open }) => open.length === copies, { what: 'the bot' })
      upstream.broadcast('a question')
      await upstream.waitFor(({ messages }) => messages.length === copies, { what: 'answers' })
      await restart(stage, 1)
      await upstream.waitFor(({ open }) => open.length === copies, { what: 'the bot to be back' })
      await auditFindsNothing(stage)
      return {}
    },
  },

  'nobody-counts': {
    title: 'T9 nobody counts',
    underSupervisor: [],
    play: async ({ upstream, program, isOurs }) => {
      const said = await program.post('')
      if (!isOurs) return { known: Number(/^connections: (\d+)$/.exec(said)?.[1]) }
      const { code, output } = await program.supervisor('audit')
      if (code !== 6 || !output.includes('nobody-counts/ours.js:'))
        throw new Error(`supervisor audit ended with ${code}, and not with a finding:\n${output}`)
      const counted = await program.supervisor('audit', '--port', String(upstream.port), '--count')
      return { known: Number(counted.output) }
    },
  },
}
