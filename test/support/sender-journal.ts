// What a sender wrote down of its messages, one file a process, a line at a time, so that a kill takes nothing back:
// `sent NUMBER` before it is sent, `said NUMBER LEVEL-or-CODE` when its promise has settled, `exit CODE` when the process
// ends in order. Programs that write them are in test/campaign/fixtures/.

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** What the sender was told in the end; null: nothing. */
export type Outcome = { level: string } | { code: string } | null

export interface Journal {
  /** Its name in the messages. */
  sender: string
  pid: number
  sent: Map<number, Outcome>
  /** Whether its process ended in order, and thus had said everything. */
  hasEnded: boolean
  /** What it took down beside. */
  notes: string[]
}

const SUFFIX = '.journal'

/** All journals of a folder; the name of a file is that of the sender: `SLOT.PID`. */
export const readJournals = (folder: string): Journal[] =>
  readdirSync(folder)
    .filter((name) => name.endsWith(SUFFIX))
    .map((name) => readJournal(name.slice(0, -SUFFIX.length), readFileSync(join(folder, name), 'utf8')))

export const readJournal = (sender: string, text: string): Journal => {
  const journal: Journal = {
    sender,
    pid: Number(sender.split('.').at(-1)),
    sent: new Map(),
    hasEnded: false,
    notes: [],
  }
  // The last line of a process that was killed may be half a line.
  for (const line of text.split('\n').slice(0, -1)) {
    const [word, number = '', what = ''] = line.split(' ')
    if (word === 'sent') journal.sent.set(Number(number), null)
    else if (word === 'said')
      journal.sent.set(Number(number), /^[a-z]/.test(what) ? { level: what } : { code: what })
    else if (word === 'exit') journal.hasEnded = true
    else journal.notes.push(line)
  }
  return journal
}

export const pendingOf = ({ sent }: Journal): number =>
  [...sent.values()].filter((outcome) => outcome === null).length
