// Shows a long operation while it goes on and how it ended: a live line for each worker on a terminal, plain lines
// elsewhere, JSON lines for programs.

import { printable } from '../../shared/printable.js'
import type { OperationResult, Progress } from '../../shared/progress.js'
import type { Call } from '../command.js'
import { LiveWorkers } from './live-workers.js'
import { failureLine, progressLine } from './progress-line.js'

/** @returns the exit code of the operation. */
export const showOperation = async (
  call: Pick<Call, 'screen' | 'isJson'>,
  operate: (tell: (progress: Progress) => void) => Promise<OperationResult>,
): Promise<number> => {
  const { screen, isJson } = call
  const result = await operate(isJson ? (progress) => screen.json(progress) : tellerFor(call))
  if (isJson) screen.json({ event: 'result', ...result })
  if (result.ok) {
    if (!isJson) screen.line(screen.colors.green(printable(result.message)))
  } else {
    screen.complain(result.message)
    if (!isJson) for (const failure of result.failures) screen.writeError(`${failureLine(failure)}\n`)
  }
  return result.exitCode
}

const tellerFor = ({ screen }: Pick<Call, 'screen'>): ((progress: Progress) => void) => {
  const tellPlain = (progress: Progress): void => {
    const line = progressLine(progress)
    if (line !== null) screen.line(line)
  }
  if (!screen.isLive) return tellPlain
  const live = new LiveWorkers(screen.colors)
  let drawn = 0
  return (progress) => {
    if (!('slot' in progress)) return
    live.apply(progress)
    const { columns, rows } = screen.size
    const lines = live.lines(columns)
    // More slots than the screen has lines cannot be redrawn in place.
    if (lines.length >= rows) return tellPlain(progress)
    const up = drawn === 0 ? '' : `\x1b[${drawn}A`
    screen.write(up + lines.map((line) => `\x1b[2K${line}\n`).join(''))
    drawn = lines.length
  }
}
