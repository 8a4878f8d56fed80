// A key and a certificate for this machine, made once per test file.

import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'

export const certificate = (t: Test): { KEY: string; CERT: string } => {
  const folder = mkdtempSync(join(tmpdir(), 'forksafe-tls-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  const KEY = join(folder, 'key.pem')
  const CERT = join(folder, 'cert.pem')
  const made = [
    'req',
    '-x509',
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:prime256v1',
    '-nodes',
    '-days',
    '2',
  ]
  execFileSync('openssl', [...made, '-subj', '/CN=localhost', '-keyout', KEY, '-out', CERT], {
    stdio: 'ignore',
  })
  return { KEY, CERT }
}
