// The cores that are judged: those of src/, or copies of the built ones with a bug in them.

import { LeaseArbiter } from '../../../src/lease/arbiter.js'
import { LeaseClaimCore } from '../../../src/lease/claim.js'
import { Fence } from '../../../src/lease/fence.js'

export interface Cores {
  LeaseArbiter: typeof LeaseArbiter
  LeaseClaimCore: typeof LeaseClaimCore
  Fence: typeof Fence
}

export const REAL_CORES: Cores = { LeaseArbiter, LeaseClaimCore, Fence }
