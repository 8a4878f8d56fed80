// Whether the packed files of dist/ (scripts/pack.mjs) are run, or the modules that they were packed from. Packed starts
// faster; unpacked, stacks and coverage lead to the source.

/** @param env of this process; workers inherit it and are started alike. */
export const isPacked = (env: NodeJS.ProcessEnv): boolean => !env.FORKSAFE_DEBUG && !env.NODE_V8_COVERAGE
