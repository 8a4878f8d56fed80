// A short temporary folder for sockets: a path below the package may be longer than a socket's may be.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'

export const socketFolder = (t: Test): string => {
  const folder = mkdtempSync(join(tmpdir(), 'fs-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}
