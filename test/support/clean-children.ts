// Keeps tap's instrumentation out of processes that a test starts. It adds NODE_OPTIONS, some thirty variables and
// signal listeners to every child, so that signal, memory, descriptor and boot figures of a child would be tap's.

/** Where process-on-spawn, which tap uses to change every child, keeps its listeners. */
const ON_SPAWN = Symbol.for('process-on-spawn@*:singletonId')

const NOT_FOR_CHILDREN =
  /^_?TAP(JS)?(_|$)|^TS_NODE_|^NODE_OPTIONS$|^NODE_V8_COVERAGE$|^FORKSAFE_|^SUPERVISOR_|^npm_/

/** To be called once at the top of a test file, before the first child is started. */
export const uninstrumentChildren = (): void => {
  const onSpawn = (globalThis as Record<symbol, { listeners: unknown[] } | undefined>)[ON_SPAWN]
  if (onSpawn) onSpawn.listeners.length = 0
}

/** This process's environment without what the test runner, npm or an outer supervisor put there. */
export const cleanEnv = (extra: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv => {
  const kept = Object.entries(process.env).filter(([name]) => !NOT_FOR_CHILDREN.test(name))
  return { ...Object.fromEntries(kept), ...extra }
}

/** {@link cleanEnv} for a child whose coverage counts in the report; it must exit by itself for it to be written. */
export const coveredEnv = (extra: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv =>
  process.env._TAPJS_PROCESSINFO_COVERAGE_ === '0'
    ? cleanEnv(extra)
    : cleanEnv({ NODE_V8_COVERAGE: `${process.cwd()}/.tap/coverage`, ...extra })
