// What is left in the runtime folder when everybody has ended: sockets and locks that somebody should have taken away.

import { existsSync, readdirSync } from 'node:fs'
import type { Participant } from './participant.js'

export const filesLeft = (home: string, participants: readonly Participant[]): string[] => {
  const ended = participants.filter(({ isKilled }) => !isKilled).flatMap(filesOf)
  const killed = participants.filter(({ isKilled }) => isKilled).flatMap(filesOf)
  return (
    filesIn(home)
      .filter((name) => /\.(sock|lock)$/.test(name))
      // Whoever was killed leaves them to the next of its name, which is to take them away.
      .filter((name) => !killed.includes(name) || ended.includes(name))
  )
}

/** Of a supervisor, by its name. */
const filesOf = ({ name }: Participant): string[] => [`${name}.sock`, `${name}.lock`]

const filesIn = (folder: string): string[] =>
  existsSync(folder) ? readdirSync(folder, { recursive: true, encoding: 'utf8' }) : []
