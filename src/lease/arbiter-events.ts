// What happens to the arbiter of leases and what it decides, as plain data. What follows from what is arbiter.ts; who
// tells it, and who carries it out, is src/primary/lease-desk.ts.

export type ArbiterEvent =
  /** A process that may claim leases exists. */
  | { type: 'joined'; claimant: number; generation: number }
  /** It has lived long enough to be trusted. */
  | { type: 'proved'; claimant: number }
  /** It was told to drain. */
  | { type: 'leaving'; claimant: number }
  /** Its process has ended: nothing of it is left. */
  | { type: 'exited'; claimant: number }
  | { type: 'renewed'; claimant: number }
  | { type: 'claimed'; claimant: number; claim: number; lease: string }
  /** Somebody asks for it although the upstream gave our place to another session. */
  | { type: 'insisted'; claimant: number; claim: number }
  | { type: 'needed'; claimant: number; claim: number }
  /** It stands in line no more, and holds nothing by that claim. */
  | { type: 'withdrawn'; claimant: number; claim: number }
  /** What it protected is gone; it stands in line again. */
  | { type: 'released'; claimant: number; claim: number; grant: number; isSuperseded: boolean }
  | { type: 'opened'; claimant: number; claim: number; grant: number }
  /** It could not be opened, or what was open has ended. */
  | { type: 'failed'; claimant: number; claim: number; grant: number; why: string }
  /** Somebody outside holds it: that says nothing about the new holder. */
  | { type: 'blocked'; claimant: number; claim: number; grant: number }
  /** What it claims and others have open is handed to it, to see whether it can hold it. */
  | { type: 'tryOut'; claimant: number }
  /** It can: what it was handed stays with it. */
  | { type: 'keep'; claimant: number }
  /** It cannot, or shall not: what it was handed goes back. */
  | { type: 'giveBack'; claimant: number; why: string }
  /** The same for all of a generation: what they hold goes to others, if there are any. */
  | { type: 'distrusted'; generation: number; why: string }
  /** @param to null: whoever is next. */
  | { type: 'handOver'; request: number; lease: string; to: number | null }
  /** The moment that `nextDeadline` named is there. */
  | { type: 'tick' }

export type ArbiterEffect =
  | { type: 'grant'; claimant: number; claim: number; grant: number; lease: string }
  | { type: 'revoke'; claimant: number; claim: number; grant: number; why: string; budget: number }
  | { type: 'kill'; claimant: number; why: string }
  /** Who holds it, or whether it is open, has changed: whoever stands by is to be told. */
  | { type: 'holderChanged'; lease: string }
  /** Something is being handed to the one on trial. */
  | { type: 'trying'; claimant: number }
  /** All that was handed to it is open (`failure` null), or something could not be held. */
  | { type: 'tried'; claimant: number; failure: string | null }
  | { type: 'handedOver'; request: number; failure: string | null }
  /** For people. `gap`: ms in which nobody had it open; null: nobody had it before. */
  | {
      type: 'acquired'
      lease: string
      claimant: number
      grant: number
      from: number | null
      gap: number | null
    }
  | { type: 'lost'; lease: string; claimant: number; grant: number; why: string }
