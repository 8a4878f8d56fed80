// Lines as JSON, by pino. The only file that imports it, itself imported only where `logFormat` is json: loading pino
// costs more than starting does without it. The schema: src/observe/log-record.ts.

import { pino } from 'pino'
import type { LogLine } from './log-buffer.js'
import { levelOf, recordFields } from './log-record.js'

/** Makes the format for a supervisor of this name: one JSON object and a line end for each line. */
export const jsonFormat = (name: string): ((line: LogLine) => string) => {
  let written = ''
  let at = 0
  const logger = pino(
    {
      base: { name },
      // What is wanted has been decided before (src/observe/output.ts): the level can change.
      level: 'debug',
      timestamp: () => `,"time":"${new Date(at).toISOString()}"`,
      formatters: { level: (level) => ({ level }) },
    },
    {
      write: (text: string) => {
        written = text
      },
    },
  )
  return (line) => {
    at = line.at
    logger[levelOf(line)](recordFields(line), line.text)
    return written
  }
}
