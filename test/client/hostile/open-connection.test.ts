// Peers that are hostile once the connection is open: frames that nobody may send, too much of what is allowed, close
// codes, and connections that end in all the wrong ways.

import t from 'tap'
import {
  answersPings,
  behaves,
  ends,
  keepsTcpOpen,
  repeats,
  resets,
  sends,
  stopsReading,
  upgrades,
  waitsFor,
} from './acts.js'
import { close, frame, OPCODE, ping, text } from './frames.js'
import type { Act } from './hostile-server.js'
import { AT_ONCE, type Case, CLOSE_TIMEOUT, lost, lostForGood, playCase } from './outcomes.js'

/** The second byte of a two-byte character, alone. */
const NO_UTF8 = Buffer.of(0x80)
const { continuation, binary } = OPCODE
const FLOOD = Buffer.concat(Array.from({ length: 10_000 }, () => ping('x')))
const opened = (first: number, payload = 'begin'): Buffer => frame({ opcode: first, payload, fin: false })

// --- Frames that nobody may send: the client says why in its Close frame (RFC 6455 section 7.4.1) --------------------

const GARBAGE: [peer: string, bytes: Buffer, code: number, says: RegExp][] = [
  ['masks a frame', frame({ opcode: OPCODE.text, payload: 'x', isMasked: true }), 1002, /MASK must be clear/],
  ['sets RSV1 without compression', frame({ opcode: OPCODE.text, rsv: 4 }), 1002, /RSV1 must be clear/],
  ['sets RSV2', frame({ opcode: OPCODE.text, rsv: 2 }), 1002, /RSV2 and RSV3 must be clear/],
  ['sets RSV3', frame({ opcode: OPCODE.text, rsv: 1 }), 1002, /RSV2 and RSV3 must be clear/],
  ['uses data opcode 3, which is reserved', frame({ opcode: 3 }), 1002, /invalid opcode 3/],
  ['uses control opcode 11, which is reserved', frame({ opcode: 11 }), 1002, /invalid opcode 11/],
  ['sends text that is no UTF-8', frame({ opcode: OPCODE.text, payload: NO_UTF8 }), 1007, /invalid UTF-8/],
  [
    'sends text whose UTF-8 is broken over two fragments',
    Buffer.concat([opened(OPCODE.text), frame({ opcode: continuation, payload: NO_UTF8 })]),
    1007,
    /invalid UTF-8/,
  ],
  ['sends a ping of 126 bytes', ping('x'.repeat(126)), 1002, /invalid payload length 126/],
  ['sends a ping in fragments', frame({ opcode: OPCODE.ping, fin: false }), 1002, /FIN must be set/],
  ['begins with a continuation', frame({ opcode: continuation, payload: 'x' }), 1002, /invalid opcode 0/],
  [
    'begins a message within a message',
    Buffer.concat([opened(OPCODE.text), text('x')]),
    1002,
    /invalid opcode 1/,
  ],
  ['announces 2^63 bytes', frame({ opcode: binary, claims: 2n ** 63n }), 1009, /payload length > 2\^53 - 1/],
  [
    'announces 2^53 bytes',
    frame({ opcode: binary, claims: 2n ** 53n - 1n }),
    1009,
    /Max payload size exceeded/,
  ],
  [
    'announces a message of maxPayload + 1',
    frame({ opcode: binary, claims: 101n }),
    1009,
    /Max payload size/,
  ],
  [
    'exceeds maxPayload in fragments',
    Buffer.concat([opened(binary, 'x'.repeat(60)), frame({ opcode: continuation, payload: 'x'.repeat(60) })]),
    1009,
    /Max payload size/,
  ],
  [
    'sends one message as a million fragments',
    Buffer.concat([opened(binary, ''), Buffer.alloc(2_000_000)]),
    1008,
    /Too many message fragments/,
  ],
  [
    'sends a Close frame of one byte',
    frame({ opcode: OPCODE.close, payload: 'x' }),
    1002,
    /invalid payload length 1/,
  ],
  ['gives a reason that is no UTF-8', close(1000, NO_UTF8), 1007, /invalid UTF-8/],
]

for (const [peer, bytes, code, says] of GARBAGE)
  playCase(t, {
    peer,
    acts: [...behaves, sends(bytes)],
    options: { maxPayload: 100 },
    outcome: lost(1006),
    says,
    peerSees: [code],
    bound: AT_ONCE,
  })

// --- Close codes: the client echoes them and comes back, unless it is told not to ------------------------------------

for (const code of [1000, 1001, 1003, 1007, 1009, 1011, 1012, 1013, 1014, 3000, 4000, 4001, 4401, 4999])
  playCase(t, {
    peer: `closes with ${code}`,
    acts: [...behaves, sends(close(code, 'because')), waitsFor(OPCODE.close), ends],
    outcome: lost(code),
    says: new RegExp(`closed with code ${code} "because"`),
    peerSees: [code],
    bound: AT_ONCE,
  })

/** Codes that must not be sent, or mean nothing (sections 7.4.1 and 7.4.2). */
for (const code of [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535])
  playCase(t, {
    peer: `closes with ${code}, which is not allowed`,
    acts: [...behaves, sends(close(code))],
    outcome: lost(1006),
    says: new RegExp(`invalid status code ${code}`),
    peerSees: [1002],
    bound: AT_ONCE,
  })

const closing = (code: number): Act[] => [...behaves, sends(close(code)), waitsFor(OPCODE.close), ends]

const cases: Case[] = [
  {
    peer: 'closes with 1008',
    acts: closing(1008),
    outcome: lostForGood(1008),
    peerSees: [1008],
    bound: AT_ONCE,
  },
  {
    peer: 'closes without a code',
    acts: [...behaves, sends(frame({ opcode: OPCODE.close })), waitsFor(OPCODE.close), ends],
    outcome: lost(1005),
    peerSees: [1005],
    bound: AT_ONCE,
  },
  {
    peer: 'closes with a code that means: another session took your place',
    acts: closing(4001),
    options: { supersededCodes: [4001] },
    outcome: {
      events: ['connecting', 'opened', 'lost 4001', 'superseded 4001'],
      connect: null,
      staysAway: 'FORKSAFE_ERR_CLIENT_SUPERSEDED',
    },
    peerSees: [4001],
    bound: AT_ONCE,
  },
  // --- Ends without a close handshake -------------------------------------------------------------------------
  {
    peer: 'ends TCP without a Close frame',
    acts: [...behaves, ends],
    outcome: lost(1006),
    bound: AT_ONCE,
  },
  {
    peer: 'resets in the middle of a frame',
    acts: [...behaves, sends(text('x'.repeat(1_000)).subarray(0, 500)), resets],
    outcome: lost(1006),
    bound: AT_ONCE,
  },
  {
    peer: 'ends TCP in the middle of a frame',
    acts: [...behaves, sends(text('x'.repeat(1_000)).subarray(0, 500)), ends],
    outcome: lost(1006),
    bound: AT_ONCE,
  },
  {
    peer: 'resets in the same breath as it upgrades',
    acts: [upgrades(), resets],
    outcome: lost(1006),
    bound: AT_ONCE,
  },
  // --- Ends that take their time: `ws` waits for a second more than closeTimeout --------------------------------
  {
    peer: 'closes and then keeps TCP open',
    acts: [answersPings(), keepsTcpOpen, upgrades(), sends(close(1001))],
    outcome: lost(1001),
    peerSees: [1001],
    bound: CLOSE_TIMEOUT + 1_000,
    attempts: 1,
  },
  {
    peer: 'sends garbage, and goes on when it is told so',
    acts: [answersPings(), keepsTcpOpen, upgrades(), repeats(frame({ opcode: 3 }), 5)],
    outcome: lost(1006),
    says: /invalid opcode 3/,
    peerSees: [1002],
    bound: CLOSE_TIMEOUT + 1_000,
    attempts: 1,
  },
  // --- Too much -----------------------------------------------------------------------------------------------
  // `ws` keeps 60 pongs that the kernel has not taken, and then ends the connection without a word.
  {
    peer: 'floods with pings, faster than they can be answered',
    acts: [...behaves, sends(FLOOD)],
    outcome: lost(1006),
    bound: AT_ONCE,
  },
  {
    peer: 'floods with pings and does not read the answers',
    acts: [upgrades(), stopsReading, sends(FLOOD)],
    outcome: lost(1006),
    bound: AT_ONCE,
  },
]

for (const tested of cases) playCase(t, tested)
