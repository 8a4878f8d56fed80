// pm2 finds the processes that it signals with `ps`. Where there is none (slim images) it answers itself twice, and a restart
// starts two supervisors, one of which it knows nothing of. Of the ways around that it only needs to be told one.

import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'
import { isUnderPm2 } from '../shared/pm2-variables.js'

/** Warns where pm2 would look for a `ps` and there is none. */
export const warnWithoutPs = (
  warn: (text: string) => void,
  environment: NodeJS.ProcessEnv = process.env,
): void => {
  const { treekill, shutdown_with_message: byMessage } = environment
  if (!isUnderPm2(environment) || treekill === 'false' || byMessage === 'true' || hasPs(environment)) return
  warn(
    'there is no `ps`, and pm2 starts twice what it restarts without one; ' +
      'set shutdown_with_message: true in its ecosystem file, or install ps (procps)',
  )
}

const hasPs = ({ PATH = '' }: NodeJS.ProcessEnv): boolean =>
  PATH.split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, 'ps'), constants.X_OK)
      return true
    } catch {
      return false
    }
  })
