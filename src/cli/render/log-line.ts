// A line of output with who wrote it before it; `[0:123]` is slot and pid.

import type { LogLine } from '../../observe/log-buffer.js'
import { printable } from '../../shared/printable.js'
import type { Colors } from '../screen.js'

export const renderLogLine = (line: LogLine, colors: Colors): string => {
  const text = printable(line.text)
  if (line.source === 'worker') {
    const writer = colors.cyan(`[${line.slot ?? '?'}:${line.pid ?? '?'}]`)
    return `${writer} ${line.stream === 'stderr' ? colors.yellow(text) : text}`
  }
  const isBad = line.level === 'warn' || line.level === 'error'
  return `${colors.magenta('[supervisor]')} ${isBad ? colors.yellow(`${line.level}: ${text}`) : text}`
}
