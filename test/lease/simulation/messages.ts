// What goes over the channel between a worker and its primary.

import type { ArbiterEvent } from '../../../src/lease/arbiter-events.js'

type WithoutClaimant<Event> = Event extends unknown ? Omit<Event, 'claimant'> : never

export type ClaimNews = WithoutClaimant<
  Extract<
    ArbiterEvent,
    {
      type: 'claimed' | 'insisted' | 'needed' | 'withdrawn' | 'released' | 'opened' | 'failed' | 'blocked'
    }
  >
>

/** `beat` is answered; each says to the arbiter that the worker is alive. */
export type ToPrimary = ClaimNews | { type: 'beat'; number: number }

export type ToWorker =
  | { type: 'granted'; claim: number; grant: number }
  | { type: 'revoked'; claim: number; grant: number; why: string; budget: number }
  | { type: 'answer'; number: number }
  | { type: 'leave' }
