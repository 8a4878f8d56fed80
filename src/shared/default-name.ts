// What a supervisor is called when nobody named it.

import { readFileSync } from 'node:fs'
import { basename, dirname, extname, join } from 'node:path'
import { isName } from './supervisor-name.js'

/**
 * The name in the nearest package.json above the script, without its scope; else the script's base name without its
 * ending. What a name may not hold is replaced by a dash.
 */
export const defaultName = (script: string): string => {
  const fromPackage = packageName(dirname(script))
  if (fromPackage !== undefined && isName(fromPackage)) return fromPackage
  const base = basename(script, extname(script))
  const name = base
    .replace(/[^A-Za-z0-9._-]+/g, '-')
    .replace(/^[^A-Za-z0-9]+/, '')
    .slice(0, 64)
  return isName(name) ? name : 'app'
}

const packageName = (folder: string): string | undefined => {
  for (let at = folder; ; at = dirname(at)) {
    const name = nameIn(join(at, 'package.json'))
    if (name !== null) return name
    if (at === dirname(at)) return undefined
  }
}

/** null: no such file. undefined: a file without a name, which ends the search as it does for Node. */
const nameIn = (path: string): string | undefined | null => {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch {
    return null
  }
  try {
    const parsed: unknown = JSON.parse(text)
    const name: unknown =
      typeof parsed === 'object' && parsed !== null && 'name' in parsed ? parsed.name : undefined
    return typeof name === 'string' ? name.replace(/^@[^/]*\//, '') : undefined
  } catch {
    return undefined
  }
}
