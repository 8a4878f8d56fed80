// An audit as the answer to a request: one JSON object, written in pieces. Of ten thousand sockets it is some megabytes, and
// to make that text at once would block the loop of the primary.

import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import type { AuditedProcess, AuditReport } from '../audit/audit-report.js'
import { Slices } from '../audit/slices.js'

/** Sockets whose text is made in one step: a fraction of a millisecond. */
const AT_ONCE = 100
/** What is listed one by one, of all processes together: more than that is more than a reader takes. */
const MOST_SOCKETS = 20_000

/** @param isWhole whether each single socket is listed too. */
export const sendAudit = async (
  response: ServerResponse,
  report: AuditReport,
  isWhole: boolean,
): Promise<void> => {
  response.writeHead(200, { 'content-type': 'application/json', 'cache-control': 'no-store' })
  const slices = new Slices()
  let waiting = ''
  const write = async (text: string): Promise<void> => {
    waiting += text
    if (!slices.isOver) return
    await flush()
    await slices.next()
  }
  const flush = async (): Promise<void> => {
    const text = waiting
    waiting = ''
    if (text === '' || response.destroyed || response.write(text)) return
    await Promise.race([once(response, 'drain'), once(response, 'close')])
  }
  const { processes, ...rest } = report
  await write(`${JSON.stringify(rest).slice(0, -1)},"processes":[`)
  let left = isWhole ? MOST_SOCKETS : 0
  for (const [index, { sockets, ...process }] of processes.entries()) {
    await write(`${index === 0 ? '' : ','}${JSON.stringify(process).slice(0, -1)},"sockets":[`)
    const listed = sockets.slice(0, left)
    left -= listed.length
    await writeSockets(listed, write)
    await write(']}')
  }
  await write(']}\n')
  await flush()
  response.end()
}

const writeSockets = async (
  sockets: AuditedProcess['sockets'],
  write: (text: string) => Promise<void>,
): Promise<void> => {
  for (let from = 0; from < sockets.length; from += AT_ONCE) {
    const some = JSON.stringify(sockets.slice(from, from + AT_ONCE))
    await write(`${from === 0 ? '' : ','}${some.slice(1, -1)}`)
  }
}
