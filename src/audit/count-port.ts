// The literal answer to `lsof -i :PORT | wc -l`, less its line of headings.

import type { Snapshot } from './socket-table.js'

/** Each descriptor with that port at either end; a socket that two processes hold counts twice, as with lsof. */
export const countPort = ({ processes }: Snapshot, port: number): number =>
  processes.reduce(
    (sum, { sockets }) =>
      sum + sockets.filter(({ local, remote }) => local?.port === port || remote?.port === port).length,
    0,
  )
