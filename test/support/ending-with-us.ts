// Programs that are not ours do not notice that the test which started them was killed. The kernel does: prctl(2),
// PR_SET_PDEATHSIG, by setpriv(1) of util-linux.

import { existsSync } from 'node:fs'

const SETPRIV = '/usr/bin/setpriv'

/** The command, such that it gets the signal when this process ends, however it ends. It keeps its pid. */
export const endingWithUs = (signal: 'SIGTERM' | 'SIGKILL', command: readonly string[]): string[] =>
  existsSync(SETPRIV) ? [SETPRIV, '--pdeathsig', signal.slice('SIG'.length), '--', ...command] : [...command]
