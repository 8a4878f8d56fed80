// How many sockets this process holds, listening ones too: nothing may be left of a connection.

import { eventually } from '../../support/deadline.js'
import { openResources } from '../../support/open-resources.js'

export const openSockets = (): number => openResources()['fd socket'] ?? 0

export const noSocketIsLeft = async (before: number): Promise<void> => {
  await eventually(openSockets, (now) => now <= before, { what: `no more than ${before} sockets to be open` })
}
