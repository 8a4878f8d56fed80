// The number of a group by its name, which Node does not tell: /etc/group is read. A group that only a directory service
// knows is given by its number.

import { readFileSync } from 'node:fs'

/** Null: not known here. A number is a group whether it has a name or not. */
export const findGroup = (group: string, file = '/etc/group'): { name: string; gid: number } | null => {
  if (/^\d{1,9}$/.test(group)) return { name: group, gid: Number(group) }
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch {
    return null
  }
  for (const line of text.split('\n')) {
    const [name, , gid] = line.split(':')
    if (name === group && gid !== undefined && /^\d+$/.test(gid)) return { name, gid: Number(gid) }
  }
  return null
}
