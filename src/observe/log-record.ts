// A line of output as programs see it: the one schema of `logFormat: json`, of `supervisor logs --json` and of
// docs/logging.md. What a line is inside: src/observe/log-buffer.ts.

import type { LogLine } from './log-buffer.js'

/** Its level; what a worker writes is not judged. */
export const levelOf = (line: LogLine): NonNullable<LogLine['level']> => line.level ?? 'info'

/** What stands between time and text: who wrote the line, and for an event its name and values. */
export const recordFields = (line: LogLine): Record<string, unknown> => {
  const { source, stream, slot, pid, generation, fields } = line
  return source === 'worker' ? { source, stream, slot, pid, generation } : { source, ...fields }
}

/** The whole record, in the order in which it is written. */
export const logRecord = (name: string, line: LogLine): Record<string, unknown> => ({
  level: levelOf(line),
  time: new Date(line.at).toISOString(),
  name,
  ...recordFields(line),
  msg: line.text,
})
