// The cells of the matrix: a version of pm2, how it is told to stop and for how long it waits, and what is done under it.
// How a cell is played is play-cell.ts.

export type Deed =
  | 'stop'
  | 'restart'
  | 'reload'
  | 'delete'
  | 'scale'
  | 'sendSignal'
  | 'trigger'
  | 'resurrect'
  | 'instances: 1'

export interface Cell {
  major: 5 | 6 | 7
  /** In ms; null is pm2's default. */
  killTimeout: number | null
  treekill: boolean
  /** `shutdown_with_message`. */
  message: boolean
  pmx: boolean
  /** Whether there is a `ps`: pm2 finds the tree with it. */
  hasPs: boolean
  deeds: readonly Deed[]
}

const ALL: readonly Deed[] = [
  'sendSignal',
  'trigger',
  'restart',
  'reload',
  'stop',
  'scale',
  'delete',
  'resurrect',
]
const BOTH = [true, false] as const

export const cellOf = (part: Partial<Cell>): Cell => ({
  ...{ major: 7, killTimeout: 35_000, treekill: true, message: true, pmx: false, hasPs: true, deeds: ALL },
  ...part,
})

const seven = [null, 35_000].flatMap((killTimeout) =>
  BOTH.flatMap((treekill) =>
    BOTH.flatMap((message) => BOTH.map((pmx) => cellOf({ killTimeout, treekill, message, pmx }))),
  ),
)

/** Without `ps` pm2 7 starts twice what it is to restart, unless it does not look for the tree; of that we only warn. */
const withoutPs = [null, 35_000].flatMap((killTimeout) => [
  cellOf({ killTimeout, hasPs: false }),
  cellOf({ killTimeout, message: false, treekill: false, hasPs: false }),
  cellOf({
    ...{ killTimeout, message: false, hasPs: false },
    deeds: ['sendSignal', 'trigger', 'stop', 'delete', 'resurrect'],
  }),
])

const older = ([5, 6] as const).flatMap((major) =>
  BOTH.map((message) =>
    cellOf({ major, message, deeds: ['sendSignal', 'trigger', 'restart', 'stop', 'resurrect'] }),
  ),
)

export const CELLS: readonly Cell[] = [
  ...seven,
  ...withoutPs,
  ...older,
  ...([5, 6, 7] as const).map((major) => cellOf({ major, deeds: ['instances: 1'] })),
]

export const describeCell = ({ major, killTimeout, treekill, message, pmx, hasPs, deeds }: Cell): string =>
  [
    `pm2 ${major}`,
    `kill_timeout ${killTimeout ?? 'default'}`,
    `treekill ${onOff(treekill)}`,
    `message ${onOff(message)}`,
    `pmx ${onOff(pmx)}`,
    ...(hasPs ? [] : ['no ps']),
    deeds.join(' '),
  ].join(', ')

const onOff = (is: boolean): string => (is ? 'on' : 'off')
