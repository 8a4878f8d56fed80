// The version of this package, as it stands in package.json.

import { readFileSync } from 'node:fs'

const readVersion = (): string => {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8')
  const { version }: { version: string } = JSON.parse(text)
  return version
}

export const VERSION = readVersion()
