// Lines for people. Everything that others wrote is escaped (src/shared/printable.ts): a worker can move no cursor and
// write no line that looks like somebody else's.

import picocolors from 'picocolors'
import { printable } from '../shared/printable.js'
import type { LogLine } from './log-buffer.js'

export interface PrettyOptions {
  /** The time alone where somebody looks on, the date too where it is kept. */
  time: 'clock' | 'date'
  hasColors: boolean
}

export const prettyFormat = ({ time, hasColors }: PrettyOptions): ((line: LogLine) => string) => {
  const { cyan, magenta } = picocolors.createColors(hasColors)
  return (line) => {
    const tag = line.source === 'worker' ? cyan(tagOf(line)) : magenta('[supervisor]')
    return `${time === 'clock' ? clock(line.at) : date(line.at)} ${tag} ${saidBy(line)}\n`
  }
}

/** Slot, pid and generation of a worker: `[0:1234 g3]`. */
export const tagOf = ({ slot, pid, generation }: LogLine): string =>
  `[${slot ?? '?'}:${pid ?? '?'} g${generation ?? '?'}]`

const saidBy = ({ source, level, text }: LogLine): string => {
  const isUsual = source === 'worker' || level === undefined || level === 'info'
  return `${isUsual ? '' : `${level}: `}${printable(text)}`
}

const clock = (at: number): string => new Date(at).toTimeString().slice(0, 8)
const date = (at: number): string => new Date(at).toISOString()
