// Deliberate bugs: a text of the built client and what it is replaced with. `breaks` is the promise that it is seen to
// break first in the schedules of the test's seed: the judge that catches it.

import type { Rule } from '../simulation/verdicts.js'

export interface Mutation {
  title: string
  /** In dist/client/; the text stands in it exactly once. */
  file: string
  find: string
  replace: string
  breaks: Rule
}

export const MUTATIONS: readonly Mutation[] = [
  {
    title: 'what the kernel took counts as received',
    file: 'delivery.js',
    find: "this.#duties.emit({ type: 'confirmed', entries, level: 'written', epoch });",
    replace: "this.#duties.emit({ type: 'confirmed', entries, level: 'received', epoch });",
    breaks: 'a receipt has its proof',
  },
  {
    title: 'a flush confirms whatever was flushed',
    file: 'delivery.js',
    find: "({ level }) => level === 'written')",
    replace: '() => true)',
    breaks: 'a receipt names level and connection',
  },
  {
    title: 'a barrier covers what is written after it',
    file: 'delivery.js',
    find: 'this.outbox.receivedUpTo(proof.covers)',
    replace: 'this.outbox.receivedUpTo(this.outbox.lastWritten)',
    breaks: 'a receipt has its proof',
  },
  {
    title: 'a barrier covers what was only accepted',
    file: 'delivery.js',
    find: 'this.#barrier.raise(this.outbox.lastWritten, now)',
    replace: 'this.#barrier.raise(this.outbox.lastSequence, now)',
    breaks: 'a receipt names level and connection',
  },
  {
    title: 'any pong is a proof',
    file: 'ping-barrier.js',
    find: 'this.#outstanding.find((candidate) => candidate.payload === payload)',
    replace: 'this.#outstanding[0]',
    breaks: 'a receipt has its proof',
  },
  {
    title: 'a pong of an earlier connection is a proof',
    file: 'delivery.js',
    find: 'this.#barrier.reset();',
    replace: '',
    breaks: 'a receipt has its proof',
  },
  {
    title: 'a receipt names the connection after the one that it went over',
    file: 'delivery.js',
    find: "entries, level: 'received', epoch })",
    replace: "entries, level: 'received', epoch: epoch + 1 })",
    breaks: 'a receipt names level and connection',
  },
  {
    title: 'the next socket is dialled before the last is gone',
    file: 'client-session.js',
    find: 'this.#live === null ? ++this.#epoch : null',
    replace: '++this.#epoch',
    breaks: 'one socket at a time',
  },
  {
    title: 'a cancelled attempt is left to itself',
    file: 'client-session.js',
    find: "this.#moveTo('idle', 'nobody waits for it any more');\n        this.#terminateSocket();",
    replace: "this.#moveTo('idle', 'nobody waits for it any more');",
    breaks: 'a cancelled attempt never opens',
  },
  {
    title: 'it tries again without a pause',
    file: 'client-session.js',
    find: 'const delay = this.#backOff(end.retryAfter);',
    replace: 'const delay = this.#backOff(end.retryAfter) * 0;',
    breaks: 'no dial before its time',
  },
  {
    title: 'Retry-After is not heeded',
    file: 'client-session.js',
    find: 'Math.min(retryAfter ?? 0, backoff.max)',
    replace: '0',
    breaks: 'no dial before its time',
  },
  {
    title: 'who asks again jumps the pause',
    file: 'client-session.js',
    find: 'if (pause > 0) {',
    replace: 'if (pause > 1e9) {',
    breaks: 'no dial before its time',
  },
  {
    title: 'after a refusal it goes on trying',
    file: 'client-session.js',
    find: 'else if (end.isFatal)',
    replace: 'else if (false)',
    breaks: 'no dial after a refusal until somebody asks',
  },
  {
    title: 'timers of a socket outlive it',
    file: 'client-session.js',
    find: "for (const name of SOCKET_TIMERS)\n            this.#emit({ type: 'clearTimer', name });",
    replace: '',
    breaks: 'no socket is ended without a reason',
  },
  {
    title: 'the timer of a shutdown outlives the client',
    file: 'guarded-client.js',
    find: 'overdue.clear();',
    replace: '',
    breaks: 'no timer is left',
  },
  {
    title: 'the timer of a message outlives it',
    file: 'sending.js',
    find: 'for (const timer of timers)\n                timer.clear();',
    replace: '',
    breaks: 'no timer is left',
  },
  {
    title: 'what is sent again goes newest first',
    file: 'outbox.js',
    find: 'const unproved = [...this.#entries.values()];',
    replace: 'const unproved = [...this.#entries.values()].reverse();',
    breaks: 'messages go out in order',
  },
  {
    title: 'what waited for an acknowledgement is not sent again',
    file: 'outbox.js',
    find: 'this.#lastWritten = this.oldest - 1;',
    replace: '',
    breaks: 'a receipt names level and connection',
  },
  {
    title: 'an unknown fate is said to be never sent',
    file: 'delivery.js',
    find: "entries: written, code: 'FORKSAFE_ERR_CLIENT_FATE_UNKNOWN', why",
    replace: "entries: written, code: 'FORKSAFE_ERR_CLIENT_NOT_SENT', why",
    breaks: 'never sent means never sent',
  },
  {
    title: 'a lost connection rejects what was never sent as well',
    file: 'delivery.js',
    find: 'const lost = this.outbox.unconfirmed();',
    replace: 'const lost = this.outbox.all();',
    breaks: 'a fate is unknown only of what was sent',
  },
  {
    title: 'what a lost connection left waits for ever',
    file: 'delivery.js',
    find: "if (this.#options.onUnconfirmed === 'resend')\n            return;",
    replace: 'return;',
    breaks: 'what a lost connection left is settled at once',
  },
  {
    title: 'resend rejects',
    file: 'delivery.js',
    find: "if (this.#options.onUnconfirmed === 'resend')",
    replace: 'if (false)',
    breaks: 'a rejection has its reason',
  },
  {
    title: 'a suspension drops what waits',
    file: 'client-session.js',
    find: "this.#moveTo('suspended', 'a fork window is open');",
    replace:
      "this.#moveTo('suspended', 'a fork window is open');\n        this.delivery.rejectAll('suspended');",
    breaks: 'a rejection has its reason',
  },
  {
    title: 'messages follow the Close frame',
    file: 'delivery.js',
    find: 'if (this.#isHeld)',
    replace: 'if (false)',
    breaks: 'no message after our Close frame',
  },
  {
    title: 'silence is judged before what came in is read',
    file: 'delivery.js',
    find: "this.#duties.emit({ type: 'awaitTurn', epoch });",
    replace: 'this.turnOver(epoch);',
    breaks: 'a peer that answers is not taken for dead',
  },
  {
    title: 'only answers to pings are signs of life',
    file: 'liveness.js',
    find: 'const sign = Math.max(owed, this.#heardAt, this.#progressAt);',
    replace: 'const sign = owed;',
    breaks: 'a peer that answers is not taken for dead',
  },
  {
    title: 'nobody looks whether the peer is alive',
    file: 'delivery.js',
    find: "if (verdict === 'quiet')\n            this.#ping();\n        else if",
    replace: 'if',
    breaks: 'a dead connection is found',
  },
  {
    title: 'a peer that stops reading is waited for',
    file: 'liveness.js',
    find: "verdict: 'stuck' }",
    replace: "verdict: 'fine' }",
    breaks: 'every promise settles in time',
  },
  {
    title: 'a peer is degraded though it has answered before',
    file: 'delivery.js',
    find: "if (isAnswerMissing && this.#pings !== 'proved')",
    replace: 'if (isAnswerMissing)',
    breaks: 'a dead connection is found',
  },
  {
    title: 'the outbox forgets to count what it rejects',
    file: 'outbox.js',
    find: 'this.rejected++;',
    replace: '',
    breaks: 'accepted = confirmed + rejected + pending',
  },
  {
    title: 'the outbox takes one message too many',
    file: 'outbox.js',
    find: 'this.pending < this.#limits.count',
    replace: 'this.pending <= this.#limits.count',
    breaks: 'the outbox keeps to its bounds',
  },
  {
    title: 'an expired message is sent',
    file: 'sending.js',
    find: "if (code === 'FORKSAFE_ERR_CLIENT_EXPIRED' && entry.writtenAt !== null)",
    replace: "if (code === 'FORKSAFE_ERR_CLIENT_EXPIRED')",
    breaks: 'every promise settles in time',
  },
  {
    title: 'an aborted message is sent all the same',
    file: 'delivery.js',
    find: 'const rejected = entries.filter((entry) => this.outbox.reject(entry));',
    replace: 'const rejected = [...entries];',
    breaks: 'accepted = confirmed + rejected + pending',
  },
  {
    title: 'a second close() begins anew',
    file: 'client-session.js',
    find: '#close({ code, drainTimeout, closeTimeout }) {\n        if (!this.isTaking)',
    replace: "#close({ code, drainTimeout, closeTimeout }) {\n        if (this.#state === 'closed')",
    breaks: 'the client does not fail by itself',
  },
  {
    title: 'a lagging consumer pauses nothing',
    file: 'session-runner.js',
    find: 'if (isPaused)\n            this.#connection?.pause();',
    replace: 'if (isPaused)\n            void 0;',
    breaks: 'a slow consumer holds the upstream back',
  },
  {
    title: 'the close handshake has no bound',
    file: 'client-session.js',
    find: 'this.#endWithin(this.#closing.timeout);',
    replace: '',
    breaks: 'every promise settles in time',
  },
  {
    title: 'a message is told to listeners twice',
    file: 'session-runner.js',
    find: 'message: (data, isBinary) => this.#listener.message({ data, isBinary, epoch }),',
    replace:
      'message: (data, isBinary) => { this.#listener.message({ data, isBinary, epoch }); this.#listener.message({ data, isBinary, epoch }) },',
    breaks: 'every incoming message is told, once and in order',
  },
]
