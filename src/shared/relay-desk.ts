// Where the owner of a relay's spools listens for the other relay workers and for `supervisor spool`: in the runtime folder,
// beside the supervisor's own socket. It does not end in .sock: those are supervisors (src/control/find-supervisors.ts).

import { join } from 'node:path'

/** @param folder see `runtimeFolder` in runtime-folder.ts. No longer than the path of the supervisor's socket. */
export const relayDeskPath = (folder: string, name: string): string => join(folder, `${name}.desk`)
