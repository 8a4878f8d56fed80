// What tests of a spool have in common: small bounds, messages by a number, everything that waits.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { NewMessage, SpooledMessage } from '../../src/relay/messages.js'
import { openSpool } from '../../src/relay/spool/open-spool.js'
import type { Spool, SpoolLimits } from '../../src/relay/spool.js'
import type { MemoryDisk } from './memory-disk.js'

export const LIMITS: SpoolLimits = {
  maxMessages: 1_000,
  maxBytes: 64 * 1024 * 1024,
  maxAge: 60_000,
  dedupeWindow: 60_000,
  dedupeMessages: 1_000,
}

export const RECEIPT = { level: 'received', epoch: 1, rtt: 1 } as const

export const messageOf = (number: number, more: Partial<NewMessage> = {}): NewMessage => ({
  id: `m${number}`,
  key: null,
  isBinary: false,
  expiresAt: null,
  body: Buffer.from(`body of ${number}`),
  ...more,
})

/** A folder for spools, taken away at the end of the test. */
export const spoolFolder = (t: { teardown(fn: () => void): unknown }): string => {
  const folder = mkdtempSync(join(tmpdir(), 'forksafe-spool-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  return join(folder, 'feed')
}

export const openIn = (
  folder: string,
  options: {
    limits?: Partial<SpoolLimits>
    clock?: () => number
    disk?: MemoryDisk
    warn?: (text: string) => void
  } = {},
): Promise<Spool> => {
  const { limits, clock, disk, warn = () => {} } = options
  return openSpool({
    folder,
    limits: { ...LIMITS, ...limits },
    warn,
    ...(clock === undefined ? {} : { clock }),
    ...(disk === undefined ? {} : { files: disk }),
  })
}

/** All that has not been taken yet. */
export const takeAll = async (spool: Spool, count = 100): Promise<SpooledMessage[]> => {
  const all: SpooledMessage[] = []
  for (;;) {
    const some = await spool.take({ count, bytes: 1024 * 1024 })
    if (some.length === 0) return all
    all.push(...some)
  }
}

export const idsOf = (messages: readonly { id: string }[]): string[] => messages.map(({ id }) => id)
