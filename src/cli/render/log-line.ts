// A line of output with who wrote it before it; `[0:123 g2]` is slot, pid and generation.

import type { LogLine } from '../../observe/log-buffer.js'
import { tagOf } from '../../observe/pretty-format.js'
import { printable } from '../../shared/printable.js'
import type { Colors } from '../screen.js'

/** Colour marks who wrote it and how bad it is, never what a worker wrote. */
export const renderLogLine = (line: LogLine, colors: Colors): string => {
  const text = printable(line.text)
  if (line.source === 'worker') return `${colors.cyan(tagOf(line))} ${text}`
  const isUsual = line.level === undefined || line.level === 'info'
  return `${colors.magenta('[supervisor]')} ${isUsual ? text : colors.yellow(`${line.level}: ${text}`)}`
}
