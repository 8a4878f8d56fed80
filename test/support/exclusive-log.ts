// What the upstream of exclusive connections wrote down, line by line; fixtures/exclusive-server.js writes it,
// judge-exclusive.ts judges it. Times are ms of the machine's monotonic clock, which all its processes share.

export type UpstreamEvent =
  | { at: number; type: 'open'; connection: number; identity: string; who: string }
  | { at: number; type: 'got'; connection: number; sender: string; number: number }
  /** A Close frame came. */
  | { at: number; type: 'frame'; connection: number; code: number }
  /** The Close handshake is complete: both frames are on their way or there. */
  | { at: number; type: 'handshake'; connection: number }
  /** The client has closed its TCP socket; `how`: fin, closed, reset, or kernel, which knew it before the server's loop. */
  | { at: number; type: 'gone'; connection: number; how: string }
  | { at: number; type: 'refused'; status: number; identity: string; who: string }

/** A line `AT TYPE …`; null for one that is none, such as the half of a last line. */
export const readUpstreamLine = (line: string): UpstreamEvent | null => {
  const [time = '', type, first = '', second = '', third = ''] = line.split(' ')
  const at = /^\d+\.\d{3}$/.test(time) ? Number(time) : Number.NaN
  if (Number.isNaN(at)) return null
  const connection = Number(first)
  switch (type) {
    case 'open':
      return { at, type, connection, identity: second, who: third }
    case 'got':
      return { at, type, connection, sender: second, number: Number(third) }
    case 'frame':
      return { at, type, connection, code: Number(second) }
    case 'handshake':
      return { at, type, connection }
    case 'gone':
      return { at, type, connection, how: second }
    case 'refused':
      return { at, type, status: Number(first), identity: second, who: third }
    default:
      return null
  }
}

export const readUpstreamLog = (text: string): UpstreamEvent[] =>
  text
    .split('\n')
    .slice(0, -1)
    .flatMap((line) => readUpstreamLine(line) ?? [])

/** Now, on the clock of the log. */
export const upstreamClock = (): number => Number(process.hrtime.bigint()) / 1e6
