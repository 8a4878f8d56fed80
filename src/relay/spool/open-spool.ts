// Opens a spool for its owner, or looks at one from outside: folder checked, what is in it found out, then put together.

import { ensureSpoolFolder } from '../../shared/spool-folder.js'
import type { Spool, SpoolLimits, SpoolStatus } from '../spool.js'
import { LogSpool } from './log-spool.js'
import { MessageReader } from './message-reader.js'
import { ParkedFolder } from './parked-folder.js'
import { Progress, readProgress } from './progress.js'
import { recover } from './recover.js'
import { nodeFiles, type SpoolFiles } from './spool-files.js'

export interface OpenSpoolOptions {
  /** Absolute; made if it is missing. */
  folder: string
  limits: SpoolLimits
  warn: (text: string) => void
  /** Unix time in ms. */
  clock?: () => number
  files?: SpoolFiles
}

/**
 * The spool of a folder, with what is in it. The caller is the only one that has it open: it holds a lease.
 *
 * @throws FORKSAFE_ERR_RELAY_SPOOL: the folder is not one, not this user's, or open to others.
 * @throws what the disk answers.
 */
export const openSpool = async ({
  folder,
  limits,
  warn,
  clock = Date.now,
  files = nodeFiles,
}: OpenSpoolOptions): Promise<Spool> => {
  ensureSpoolFolder(folder)
  const parked = await ParkedFolder.open(files, folder, warn)
  const progress = await Progress.open(files, folder)
  try {
    const { settledThrough, salt } = progress
    const recovered = await recover({ files, folder, settledThrough, salt, isReadOnly: false, warn })
    return new LogSpool({ files, folder, limits, clock, warn, recovered, progress, parked })
  } catch (error) {
    await progress.close()
    throw error
  }
}

export type SpoolView = Pick<Spool, 'list' | 'parked' | 'fate'> & {
  status: SpoolStatus
  close(): Promise<void>
}

/** The same to look at, beside a running owner or without one; it changes nothing. */
export const readSpool = async (folder: string, files: SpoolFiles = nodeFiles): Promise<SpoolView> => {
  const { settledThrough, salt } = await readProgress(files, folder)
  const warn = (): void => {}
  const recovered = await recover({ files, folder, settledThrough, salt, isReadOnly: true, warn })
  const parked = await ParkedFolder.open(files, folder, warn)
  const { segments, notes } = recovered
  const dropped = new Set(
    [...notes].filter(([seq, { state }]) => state === 'dropped' && seq > settledThrough).map(([seq]) => seq),
  )
  const list: Spool['list'] = async ({ after = 0, limit }) => {
    const reader = new MessageReader(() => segments)
    const from = Math.max(after, settledThrough) + 1
    const found = await reader.read(from, { count: limit + dropped.size, bytes: Number.MAX_SAFE_INTEGER })
    return found.filter(({ seq }) => !dropped.has(seq)).slice(0, limit)
  }
  const [oldest] = await list({ limit: 1 })
  return {
    list,
    parked: () => parked.all(),
    fate: async (id) => {
      const kept = parked.find(id)
      if (kept === null) return null
      const { seq, acceptedAt, parkedAt, reason } = kept
      return { id, state: 'parked', seq, acceptedAt, settledAt: parkedAt, reason, receipt: null }
    },
    close: async () => {
      for (const segment of segments) await segment.close()
    },
    status: {
      queued: recovered.waiting - dropped.size,
      queuedBytes: recovered.waitingBytes,
      oldestAt: oldest?.acceptedAt ?? null,
      parked: parked.count,
      bytes: segments.reduce((sum, { end }) => sum + end, parked.bytes),
      accepted: 0,
      delivered: 0,
      expired: 0,
      duplicates: 0,
      quarantined: recovered.quarantined,
      refusing: null,
    },
  }
}
