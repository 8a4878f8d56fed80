// What a round of the lifecycle campaign is going to do, as data, and in words for its story.
// Making one up is make-plan.ts; playing it is round.ts.

export type ReleaseKind = 'good' | 'neverReady' | 'throwsAtBoot' | 'exitsAfterReady' | 'syntaxError'

/** How the app of a good release behaves: the variables of fixtures/feed-app.js. */
export interface AppPlan {
  clients: 1 | 2
  serves: boolean
  bootMs: number
  hookMs: number
  ownSigterm: 'none' | 'close' | 'exit'
}

export interface ReleasePlan {
  kind: ReleaseKind
  workers: number
  app: AppPlan
}

/** A number of ms after the round began, or after the next line of the supervisor's log that says so. */
export interface Moment {
  after: 'begin' | 'starting' | 'ready' | 'draining' | 'gone'
  ms: number
}

/** `abandoned` asks over the socket and hangs up at once. */
export type ReloadVia = 'cli' | 'SIGUSR2' | 'SIGHUP' | 'abandoned'

export type Action =
  | { type: 'reload'; release: ReleasePlan; via: ReloadVia }
  | { type: 'scale'; workers: number }
  | { type: 'scaleSignal'; signal: 'SIGTTIN' | 'SIGTTOU' }
  | { type: 'restart' }
  | { type: 'status' }
  | { type: 'logs' }
  | { type: 'garbage'; variant: number }
  | { type: 'signalPrimary'; signal: NodeJS.Signals }
  | { type: 'signalWorker'; signal: NodeJS.Signals; nth: number }
  | { type: 'killWorker'; nth: number }
  | { type: 'pauseWorker'; nth: number; ms: number }
  | { type: 'pausePrimary'; ms: number }

export type Ending =
  | { type: 'stop' }
  | { type: 'stopNow' }
  | { type: 'signal'; signal: 'SIGTERM' | 'SIGINT' }
  | { type: 'groupSignal'; signal: 'SIGTERM' | 'SIGINT' }
  | { type: 'doubleSignal'; gap: number }
  /** `kill -9`, after SIGTERM by `termBefore` ms or without; the next start comes `nextAfter` ms later. */
  | { type: 'kill'; termBefore: number | null; pausedWorker: number | null; nextAfter: number }

export interface RoundPlan {
  /** Whether HTTP clients use it meanwhile: then nothing is done that may cost a request. */
  hasLoad: boolean
  first: ReleasePlan
  /** The actions' clock begins when the supervisor has begun to start workers, or when all are ready. */
  begins: 'starting' | 'ready'
  actions: { moment: Moment; action: Action }[]
  /** ms after the round began, or when everything that was done has come to rest. */
  endsAt: number | 'rest'
  ending: Ending
}

export const describePlan = ({ hasLoad, first, begins, actions, endsAt, ending }: RoundPlan): string[] => [
  `first release: ${describeRelease(first)}${hasLoad ? ', under load' : ''}; actions begin when workers are ${begins}`,
  ...actions.map(({ moment, action }) => `planned ${describeMoment(moment)}: ${describeAction(action)}`),
  `planned ${endsAt === 'rest' ? 'at rest' : `at ${endsAt} ms`}: end by ${JSON.stringify(ending)}`,
]

export const describeRelease = ({ kind, workers, app }: ReleasePlan): string =>
  kind === 'good' ? `good ${JSON.stringify({ workers, ...app })}` : `${kind} (${workers} workers)`

export const describeAction = (action: Action): string => {
  if (action.type === 'reload') return `reload via ${action.via} to ${describeRelease(action.release)}`
  const { type, ...rest } = action
  return Object.keys(rest).length === 0 ? type : `${type} ${JSON.stringify(rest)}`
}

const describeMoment = ({ after, ms }: Moment): string =>
  after === 'begin' ? `at ${ms} ms` : `${ms} ms after the next worker is ${after}`
