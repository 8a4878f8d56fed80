// All campaigns by their names, for `npm run campaign`.

import type { Campaign } from './campaign.js'
import { clientKills } from './client-kills/round.js'
import { clientModel } from './client-model.js'
import { exclusiveCampaigns } from './exclusive/round.js'
import { leaseModel } from './lease-model.js'
import { lifecycle } from './lifecycle/round.js'
import { pm2Matrix } from './pm2-matrix/round.js'
import { relay } from './relay/round.js'

export const CAMPAIGNS: readonly Campaign[] = [
  clientKills,
  clientModel,
  ...exclusiveCampaigns,
  leaseModel,
  lifecycle,
  pm2Matrix,
  relay,
]
