// supervisor ls: all supervisors of this user.

import { findSupervisors } from '../../control/find-supervisors.js'
import type { ControlTarget } from '../../control/http-exchange.js'
import { ForksafeError } from '../../shared/errors.js'
import { runtimeFolder } from '../../shared/runtime-folder.js'
import type { SupervisorStatus } from '../../shared/status.js'
import { type Call, type Command, clientOf } from '../command.js'
import { renderList } from '../render/list.js'

export const lsCommand: Command = {
  name: 'ls',
  summary: 'list all supervisors of this user',
  examples: ['supervisor ls', 'supervisor ls --json | jq -r .name'],
  options: [],
  mistake: 2,
  run: async (call) => {
    const { screen, isJson, env } = call
    const folder = runtimeFolder(env)
    const found = await findSupervisors(folder)
    const rows = await Promise.all(found.map((target) => look(target, call)))
    if (isJson) for (const row of rows) screen.json(row)
    else if (rows.length === 0) screen.line(`no supervisor is running (looked in ${folder})`)
    else screen.write(renderList(rows, { colors: screen.colors, now: Date.now() }))
    return 0
  },
}

/** One that does not answer is listed all the same, with what is known of it. */
const look = async (
  target: ControlTarget,
  { screen }: Call,
): Promise<SupervisorStatus | { name: string; state: 'unanswered'; error: string }> => {
  try {
    return await clientOf(target, screen).status()
  } catch (error) {
    if (!(error instanceof ForksafeError)) throw error
    return { name: target.name, state: 'unanswered', error: error.message }
  }
}
