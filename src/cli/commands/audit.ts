// supervisor audit: who holds which sockets, and what of it does not belong. Of a running supervisor, which knows what should
// be there, or with --pid of any tree of processes, seen from this one.

import { Option } from 'commander'
import type { AuditReport } from '../../audit/audit-report.js'
import { ForksafeError } from '../../shared/errors.js'
import { invalidOption, readWholeNumber } from '../../shared/option-values.js'
import { isAlive, processIdentity } from '../../shared/process-identity.js'
import { type Call, type Command, clientFor } from '../command.js'
import { renderAudit } from '../render/audit.js'
import { pauseBeforeNextLook } from '../watch-pause.js'
import { nameOption } from './name-option.js'

const WATCH_INTERVAL = 2_000
const CLEAR = '\x1b[H\x1b[2J'
const FOUND_SOMETHING = 6
/** Linux's largest. */
const MAX_PID = 4_194_304

export const auditCommand: Command = {
  name: 'audit',
  summary: 'show who holds which sockets, and what of it does not belong',
  examples: [
    'supervisor audit                          exit code 6 where something does not belong',
    'supervisor audit --verbose                each socket by itself',
    'supervisor audit --watch                  again and again, with the change since the first look',
    'supervisor audit --json | jq .findings',
    'supervisor audit --port 8080 --count      what lsof -i :8080 | wc -l was for',
    'supervisor audit --pid 4711               any tree of processes, without a supervisor',
  ],
  options: [
    nameOption(),
    new Option('-w, --watch', 'look again every 2 s and show what has changed; with --json an object a line'),
    new Option('--verbose', 'list each socket by itself'),
    new Option('--port <port>', 'with --count: of sockets with this port at either end'),
    new Option('--count', 'print how many sockets the tree has with --port, and nothing else'),
    new Option('--pid <pid>', 'of this process and everything below it, instead of a supervisor'),
  ],
  mistake: 2,
  run: async (call) => {
    const { flags } = call
    const port = flags.port === undefined ? null : readWholeNumber(1, 65_535)('--port', flags.port, 'text')
    if ((flags.count === true) !== (port !== null))
      throw mistake('--port and --count go together: --port 8080 --count')
    const isWhole = call.isJson || flags.verbose === true
    const source = await sourceOf(call, isWhole)
    return port === null ? show(call, source, isWhole) : showCount(call, port, source)
  },
}

interface Source {
  audit(): Promise<AuditReport>
  countPort(port: number): Promise<number>
}

const sourceOf = async (call: Call, isWhole: boolean): Promise<Source> => {
  const { flags } = call
  if (flags.pid === undefined) {
    const client = await clientFor(call)
    return {
      audit: () => client.audit({ sockets: isWhole }),
      countPort: (port) => client.countPort(port),
    }
  }
  if (flags.name !== undefined)
    throw mistake('--pid and --name exclude each other: --pid is for a tree without a supervisor')
  const pid = readWholeNumber(1, MAX_PID)('--pid', flags.pid, 'text')
  // With its start time: what is only not yet waited for does not run.
  if (!isAlive(processIdentity(pid))) throw invalidOption('--pid', flags.pid, 'is no process that runs')
  const { auditTree, countPortOfTree } = await import('../../audit/audit-tree.js')
  return { audit: () => auditTree(pid), countPort: (port) => countPortOfTree(pid, port) }
}

const showCount = async (call: Call, port: number, source: Source): Promise<number> => {
  const { screen } = call
  for (;;) {
    const count = await source.countPort(port)
    if (call.isJson) screen.json({ port, count })
    else screen.line(String(count))
    if (call.flags.watch !== true || !(await pauseBeforeNextLook(call, WATCH_INTERVAL))) return 0
  }
}

const show = async (call: Call, source: Source, isWhole: boolean): Promise<number> => {
  const { flags, screen } = call
  let first: AuditReport | null = null
  for (;;) {
    const report = await source.audit()
    if (call.isJson) screen.json(report)
    else {
      const { columns } = screen.size
      const text = renderAudit(report, { colors: screen.colors, columns, first, isVerbose: isWhole })
      screen.write(`${flags.watch === true && screen.isLive ? CLEAR : ''}${text}`)
    }
    first ??= report
    if (flags.watch !== true || !(await pauseBeforeNextLook(call, WATCH_INTERVAL))) return exitCodeOf(report)
  }
}

const exitCodeOf = ({ findings }: AuditReport): number =>
  findings.some(({ severity }) => severity === 'problem') ? FOUND_SOMETHING : 0

const mistake = (message: string): ForksafeError => new ForksafeError('FORKSAFE_ERR_OPTION_INVALID', message)
