// Certificates for this machine, made by openssl in a folder that is gone with the test file: one that is valid and one
// that has expired, each its own authority.

import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'

const OPENSSL = '/usr/bin/openssl'

/** Options for a test that needs openssl: skips it, with the command that brings it. */
export const needsOpenssl: { skip: string } | Record<string, never> = existsSync(OPENSSL)
  ? {}
  : { skip: `${OPENSSL} is missing; bring it: apt-get install -y openssl` }

export interface Certificate {
  key: Buffer
  cert: Buffer
}

export const HOST = 'upstream.test'

export const certificates = (t: Test): { valid: Certificate; expired: Certificate } => {
  const folder = mkdtempSync(join(tmpdir(), 'forksafe-hostile-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  const run = (...args: string[]): unknown => execFileSync(OPENSSL, args, { cwd: folder, stdio: 'ignore' })
  const read = (name: string): Certificate => ({
    key: readFileSync(join(folder, 'key.pem')),
    cert: readFileSync(join(folder, name)),
  })
  writeFileSync(join(folder, 'ca.cnf'), AUTHORITY)
  writeFileSync(join(folder, 'index.txt'), '')
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', 'key.pem']
  run('req', ...key, '-subj', `/CN=${HOST}`, '-out', 'request.pem')
  const sign = ['ca', '-config', 'ca.cnf', '-batch', '-notext', '-selfsign', '-in', 'request.pem']
  // A year that has ended, and one that has no end.
  run(...sign, '-startdate', '20200101000000Z', '-enddate', '20210101000000Z', '-out', 'expired.pem')
  run(...sign, '-startdate', '20200101000000Z', '-enddate', '99991231235959Z', '-out', 'valid.pem')
  return { valid: read('valid.pem'), expired: read('expired.pem') }
}

const AUTHORITY = `
[ca]
default_ca = own
[own]
database = index.txt
new_certs_dir = .
private_key = key.pem
rand_serial = yes
unique_subject = no
default_md = sha256
policy = any
x509_extensions = names
[any]
commonName = supplied
[names]
subjectAltName = DNS:${HOST}
`
