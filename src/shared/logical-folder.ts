// The working folder as the user wrote it: a shell that went through a symlink keeps the symlink in PWD. Release folders
// need it: started in /srv/app/current, a supervisor must find the new release when the link moves.

import { statSync } from 'node:fs'
import { isAbsolute } from 'node:path'

/** PWD where it names the working folder, else the folder's real path. To be asked once, at the start. */
export const logicalFolder = (env: NodeJS.ProcessEnv): string => {
  const real = process.cwd()
  const written = env.PWD
  if (written === undefined || !isAbsolute(written)) return real
  try {
    const [a, b] = [statSync(written), statSync(real)]
    return a.ino === b.ino && a.dev === b.dev ? written : real
  } catch {
    return real
  }
}
