// `forksafe/audit`: which sockets a process has, for tests of users. It works in a plain script and installs nothing: no
// signal handler, no hook. What a supervisor makes of the same knowledge is `supervisor audit`.

export { type AssertNoLeaksOptions, assertNoLeaks } from './assert-no-leaks.js'
export { type SnapshotOptions, snapshot } from './snapshot.js'
export type {
  Endpoint,
  HeldSocket,
  ProcessSockets,
  Snapshot,
  SocketKind,
  SocketRow,
  SocketState,
} from './socket-table.js'
