// The levels of the supervisor's own lines, least important first. What workers write has no level of ours.

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const

export type LogLevel = (typeof LOG_LEVELS)[number]

export const isLogLevel = (value: unknown): value is LogLevel => LOG_LEVELS.some((level) => level === value)

/** Whether a line of `level` is wanted where `least` is asked for. */
export const isAtLeast = (level: LogLevel, least: LogLevel): boolean =>
  LOG_LEVELS.indexOf(level) >= LOG_LEVELS.indexOf(least)
