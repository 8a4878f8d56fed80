// What a lock folder does that takes over what is stale, as proper-lockfile 4.1.2 does it: look whether it is stale,
// remove it, make it anew; three calls, between which others come. For the explorer: it must find what that lets happen.

import type { Model, Step } from './explore.js'

type Doing = 'make' | 'look' | 'remove' | 'make again' | 'connect' | 'done' | 'lost'

interface State {
  /** Whose the folder is; `stale` is nobody's any more. */
  folder: 'none' | 'stale' | number
  doing: Doing[]
  open: boolean[]
}

export const bareLockFile = (processes: number): Model<State> => ({
  initial: [
    {
      folder: 'stale',
      doing: Array.from({ length: processes }, () => 'make'),
      open: Array.from({ length: processes }, () => false),
    },
  ],
  key: (state) => JSON.stringify(state),
  steps: (state) =>
    state.doing.flatMap((doing, index): Step<State>[] => {
      const next = step(state, doing, index)
      return next === null ? [] : [{ name: `${NAMES[index]} does: ${doing}`, next, isFair: true }]
    }),
  violation: ({ open }) => (open.filter(Boolean).length > 1 ? 'two connections are open' : null),
  isWell: ({ doing }) => doing.every((one) => one === 'done' || one === 'lost'),
})

const NAMES = ['A', 'B', 'C']

const step = (state: State, doing: Doing, index: number): State | null => {
  const to = (next: Doing, folder: State['folder'] = state.folder): State => ({
    ...state,
    folder,
    doing: state.doing.with(index, next),
  })
  switch (doing) {
    case 'make':
      return state.folder === 'none' ? to('connect', index) : to('look')
    case 'look':
      return state.folder === 'stale' ? to('remove') : to(state.folder === 'none' ? 'make again' : 'lost')
    case 'remove':
      return to('make again', 'none')
    case 'make again':
      return state.folder === 'none' ? to('connect', index) : to('lost')
    case 'connect':
      return { ...to('done'), open: state.open.with(index, true) }
    default:
      return null
  }
}
