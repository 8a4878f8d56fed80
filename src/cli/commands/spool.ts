// supervisor spool: what a relay's queues hold, and what an operator does with single messages. The running owner is asked,
// because it alone may touch the files; where none runs the files can still be looked at.

import { resolve } from 'node:path'
import { Option } from 'commander'
import { FilesView } from '../../relay/spool-files-view.js'
import { DeskView, type ShownLine, type SpoolDeed, type SpoolView } from '../../relay/spool-view.js'
import { ForksafeError } from '../../shared/errors.js'
import { invalidOption, readName, readWholeNumber } from '../../shared/option-values.js'
import { relayDeskPath } from '../../shared/relay-desk.js'
import { checkRuntimeFolder, runtimeFolder } from '../../shared/runtime-folder.js'
import { defaultSpoolFolder } from '../../shared/spool-folder.js'
import type { Call, Command } from '../command.js'
import { renderLines, renderMessage, renderParked, renderWaiting } from '../render/spool.js'

const DEEDS = ['ls', 'show', 'retry', 'drop'] as const
type Deed = (typeof DEEDS)[number]

const DEFAULT_NAME = 'relay'
const DEFAULT_LIMIT = 100
const MAX_LIMIT = 10_000

export const spoolCommand: Command = {
  name: 'spool',
  operands: '<ls|show|retry|drop> [ids...]',
  summary: 'look at the queues of a relay, and retry or drop single messages',
  examples: [
    'supervisor spool ls                        each client: what waits, since when, what is parked',
    'supervisor spool ls --client feed          what waits, oldest first',
    'supervisor spool ls --parked               what was given up, and why',
    'supervisor spool show 4711                 one message, with the beginning of its body',
    'supervisor spool retry 4711 4712           parked ones go to the end of their queue',
    'supervisor spool retry --all --client feed',
    'supervisor spool drop 4711                 a message that waits or is parked',
    'supervisor spool ls --parked --json | jq -r .id',
  ],
  options: [
    new Option('--name <name>', `which relay (default: $FORKSAFE_NAME, else ${DEFAULT_NAME})`),
    new Option('--client <name>', 'of this client alone'),
    new Option('--parked', 'with ls: what was given up'),
    new Option('--all', 'with retry and drop: all that are parked'),
    new Option(
      '--spool <folder>',
      'with ls and show: where its files are, if it does not run (default: by the name)',
    ),
    new Option('--limit <number>', `with ls: at most so many of each client (default: ${DEFAULT_LIMIT})`),
  ],
  mistake: 2,
  run: async (call) => {
    const [deed, ...ids] = call.operands
    if (!isDeed(deed)) throw invalidOption('spool', deed ?? '', `is not known; write ${DEEDS.join(', ')}`)
    checkIds(deed, ids, call)
    const name = nameIn(call)
    const folder = runtimeFolder(call.env)
    checkRuntimeFolder(folder)
    const desk = new DeskView(relayDeskPath(folder, name), name)
    try {
      if (deed === 'retry' || deed === 'drop') return await change(call, desk, deed, ids)
      const view = await viewOf(call, desk, name)
      try {
        return await look(call, view, deed, ids)
      } finally {
        await view.close()
      }
    } finally {
      await desk.close()
    }
  },
}

const isDeed = (word: string | undefined): word is Deed => DEEDS.some((deed) => deed === word)

const checkIds = (deed: Deed, ids: readonly string[], { flags }: Call): void => {
  const isAll = flags.all === true
  if (deed === 'ls' && ids.length > 0) throw mistake(`spool ls takes no ids; write 'spool show ${ids[0]}'`)
  if (isAll && (deed === 'ls' || deed === 'show')) throw mistake('--all is for retry and drop')
  if (isAll && ids.length > 0) throw mistake('write either ids or --all')
  if (deed !== 'ls' && ids.length === 0 && !isAll)
    throw mistake(`spool ${deed} needs ids; 'spool ls --client NAME' and 'spool ls --parked' list them`)
}

const nameIn = ({ flags, env }: Call): string => {
  if (flags.name !== undefined) return readName('--name', flags.name, 'text')
  return env.FORKSAFE_NAME ? readName('FORKSAFE_NAME', env.FORKSAFE_NAME, 'text') : DEFAULT_NAME
}

/** The desk, or the files where nobody is at it. */
const viewOf = async ({ flags, env, screen }: Call, desk: DeskView, name: string): Promise<SpoolView> => {
  try {
    await desk.lines()
    return desk
  } catch (error) {
    if (!(error instanceof ForksafeError) || error.code !== 'FORKSAFE_ERR_NOT_RUNNING') throw error
    const folder = typeof flags.spool === 'string' ? resolve(flags.spool) : defaultSpoolFolder(name, env)
    const files = new FilesView(folder)
    if ((await files.clients()) === null) throw error
    screen.complain(`relay ${name} is not running; this is what its files in ${folder} hold`)
    return files
  }
}

/** Those that are meant: one, or all. */
const linesFor = async ({ flags }: Call, view: SpoolView): Promise<ShownLine[]> => {
  const lines = await view.lines()
  if (flags.client === undefined) return lines
  const found = lines.filter(({ client }) => client === flags.client)
  if (found.length > 0) return found
  const known = lines.map(({ client }) => client).join(', ')
  throw invalidOption('--client', flags.client, `is none of its clients: ${known || 'there are none'}`)
}

// --- Looking ----------------------------------------------------------------------------------------------------

const look = async (call: Call, view: SpoolView, deed: Deed, ids: readonly string[]): Promise<number> => {
  const lines = await linesFor(call, view)
  if (deed === 'show') return show(call, view, lines, ids)
  const { flags, screen, isJson } = call
  const limit =
    flags.limit === undefined ? DEFAULT_LIMIT : readWholeNumber(1, MAX_LIMIT)('--limit', flags.limit, 'text')
  const how = { colors: screen.colors, now: Date.now() }
  if (flags.parked === true)
    for (const { client, parked } of lines) {
      const messages = await view.parked(client, limit)
      if (isJson) for (const message of messages) screen.json({ client, ...message })
      else screen.write(renderParked(client, messages, parked, how))
    }
  else if (flags.client !== undefined)
    for (const { client, queued } of lines) {
      const messages = await view.waiting(client, limit)
      if (isJson) for (const message of messages) screen.json({ client, ...message })
      else screen.write(renderWaiting(client, messages, queued, how))
    }
  else if (isJson) for (const line of lines) screen.json(line)
  else screen.write(renderLines(lines, how))
  return 0
}

const show = async (
  { screen, isJson }: Call,
  view: SpoolView,
  lines: readonly ShownLine[],
  ids: readonly string[],
): Promise<number> => {
  const missing: string[] = []
  for (const id of ids) {
    let isFound = false
    for (const { client } of lines) {
      const message = await view.message(client, id)
      if (message === null) continue
      isFound = true
      if (isJson) screen.json({ client, ...message })
      else screen.write(renderMessage(client, message, { colors: screen.colors, now: Date.now() }))
    }
    if (!isFound) missing.push(id)
  }
  if (missing.length === 0) return 0
  throw new ForksafeError(
    'FORKSAFE_ERR_RELAY_UNKNOWN_MESSAGE',
    `no message with id ${missing.join(', ')} is known (any more)`,
  )
}

// --- Changing ---------------------------------------------------------------------------------------------------

const change = async (
  call: Call,
  desk: DeskView,
  deed: 'retry' | 'drop',
  ids: readonly string[],
): Promise<number> => {
  const { screen, isJson } = call
  const lines = await linesFor(call, desk)
  const deeds: SpoolDeed[] = []
  for (const { client } of lines) deeds.push(await desk[deed](client, ids.length === 0 ? 'all' : ids))
  const done = deeds.flatMap((each) => each.done)
  // An id that one client has is no failure of the others.
  const failed = new Map(
    deeds.flatMap((each) => each.failed).flatMap(({ id, why }) => (done.includes(id) ? [] : [[id, why]])),
  )
  if (isJson) screen.json({ done, failed: [...failed].map(([id, why]) => ({ id, why })) })
  else {
    const what = deed === 'retry' ? 'back in the queue' : 'dropped'
    screen.line(`${done.length} ${done.length === 1 ? 'message is' : 'messages are'} ${what}`)
  }
  for (const [id, why] of failed) screen.complain(`${id}: ${why}`)
  return failed.size === 0 ? 0 : 1
}

const mistake = (message: string): ForksafeError => new ForksafeError('FORKSAFE_ERR_OPTION_INVALID', message)
