// Deliberate bugs: a text of the built cores and what it is replaced with. `foundBy` is the layer that catches it, and
// what that layer says is broken.

import type { Rule } from '../simulation/verdicts.js'

export interface Mutation {
  title: string
  /** In dist/lease/; the text stands in it exactly once. */
  file: 'arbiter.js' | 'claim.js' | 'fence.js'
  find: string
  replace: string
  foundBy:
    | { simulation: Rule }
    | { explorer: RegExp; acts: 'nothing' | 'a handover' }
    /** Channels keep their order, so that in a world nothing follows from it: caught by a scenario. */
    | 'a scenario'
}

export const MUTATIONS: readonly Mutation[] = [
  {
    title: 'granted to the next before the holder has let go',
    file: 'arbiter.js',
    find: 'if (lease.holder === null)\n            this.#fill(name, lease);',
    replace:
      "if (lease.holder === null || lease.holder.phase === 'revoking')\n            this.#fill(name, lease);",
    foundBy: { simulation: 'nobody is granted before the last holder has let go' },
  },
  {
    title: 'the same, seen by the explorer',
    file: 'arbiter.js',
    find: 'if (lease.holder === null)\n            this.#fill(name, lease);',
    replace:
      "if (lease.holder === null || lease.holder.phase === 'revoking')\n            this.#fill(name, lease);",
    foundBy: { explorer: /is granted it while/, acts: 'a handover' },
  },
  {
    title: 'numbers of grants are not looked at',
    file: 'arbiter.js',
    find: 'holder?.claimant === claimant && holder.grant === grant',
    replace: 'holder?.claimant === claimant',
    foundBy: 'a scenario',
  },
  {
    title: 'a kill counts as an end',
    file: 'arbiter.js',
    find: "this.#emit({ type: 'kill', claimant, why });",
    replace: "this.#emit({ type: 'kill', claimant, why });\n        this.#exited(claimant);",
    foundBy: { simulation: 'nobody is granted before the last holder has let go' },
  },
  {
    title: 'nobody is forgiven for a sleep of the primary',
    file: 'arbiter.js',
    find: 'if (late > SLEPT)',
    replace: 'if (late > 1e9)',
    foundBy: { simulation: 'a kill has its reason' },
  },
  {
    title: 'the time is looked at only when somebody is overdue',
    file: 'arbiter.js',
    find: 'Math.min(next, this.#now + HEARTBEAT)',
    replace: 'next',
    foundBy: { simulation: 'a kill has its reason' },
  },
  {
    title: 'who failed a trial is not told to let go',
    file: 'arbiter.js',
    find: 'if (!wasClosing && holder?.claimant === move.to)\n            this.#revoke(holder, why);',
    replace: '',
    foundBy: { simulation: 'no move is left over' },
  },
  {
    title: 'the end of a process frees nothing',
    file: 'arbiter.js',
    find: "if (lease.holder?.claimant === claimant)\n                this.#free(name, lease, 'its process ended');",
    replace: '',
    foundBy: { simulation: 'no move is left over' },
  },
  {
    title: 'who is condemned may be granted more',
    file: 'arbiter.js',
    find: 'const isOut = claimant === undefined || claimant.isCondemned || claimant.hasFailed;',
    replace: 'const isOut = claimant === undefined || claimant.hasFailed;',
    foundBy: { simulation: 'who leaves, has failed or is condemned is granted nothing' },
  },
  {
    title: 'who has failed may be granted more',
    file: 'arbiter.js',
    find: 'claimant === undefined || claimant.isCondemned || claimant.hasFailed;',
    replace: 'claimant === undefined || claimant.isCondemned;',
    foundBy: { simulation: 'who leaves, has failed or is condemned is granted nothing' },
  },
  {
    title: 'who leaves is granted it without having anything to deliver',
    file: 'arbiter.js',
    find: 'if (isOut || (claimant.isLeaving && !claim.isNeedy))',
    replace: 'if (isOut)',
    foundBy: { simulation: 'who leaves, has failed or is condemned is granted nothing' },
  },
  {
    title: 'a place that another session took is fought for',
    file: 'arbiter.js',
    find: 'if (lease.isBarred)\n            return undefined;',
    replace: '',
    foundBy: { simulation: 'nobody is granted what is barred' },
  },
  {
    title: 'a handover grants what another session took',
    file: 'arbiter.js',
    find: "if (lease.isBarred)\n            return this.#abandonMove(lease, move, 'another session took our place meanwhile');",
    replace: '',
    foundBy: { simulation: 'nobody is granted what is barred' },
  },
  {
    title: 'who was killed is judged again and again',
    file: 'arbiter.js',
    find: 'return known === undefined || known.isCondemned\n            ? Number.POSITIVE_INFINITY\n            : (goneBy ?? Number.POSITIVE_INFINITY);',
    replace: 'return known === undefined ? Number.POSITIVE_INFINITY : (goneBy ?? Number.POSITIVE_INFINITY);',
    foundBy: { simulation: 'a deadline is in the future, once it was told' },
  },
  {
    title: 'a failure of each lease of a trial is a verdict',
    file: 'arbiter.js',
    find: 'this.#change(claimant, { isOnTrial: false, hasFailed: true });\n        this.#emit(',
    replace: 'this.#emit(',
    foundBy: { simulation: 'a trial has its verdict, once' },
  },
  {
    title: 'nobody is told when a handover has ended',
    file: 'arbiter.js',
    find: 'if (move.request !== null)',
    replace: 'if (false)',
    foundBy: { simulation: 'every hand-over is answered once' },
  },
  {
    title: 'grants begin anew when nobody holds anything',
    file: 'arbiter.js',
    find: 'const grant = ++this.state.lastGrant;',
    replace: 'const grant = (this.state.lastGrant = lease.claims.length);',
    foundBy: { simulation: 'grants and epochs only grow' },
  },
  {
    title: 'a holder says that it let go when it is told to',
    file: 'claim.js',
    find: "this.#moveTo('closing', why);\n                return this.#emit({ type: 'closeWithin', why, budget });",
    replace: "this.#emit({ type: 'closeWithin', why, budget });\n                return this.#free(why);",
    foundBy: { simulation: 'nobody is granted before the last holder has let go' },
  },
  {
    title: 'it is used although the fence has passed',
    file: 'claim.js',
    find: "if (!isFenced)\n            this.#emit({ type: 'mayUse', epoch });",
    replace: "this.#emit({ type: 'mayUse', epoch });",
    foundBy: { explorer: /dials without the lease/, acts: 'nothing' },
  },
  {
    title: 'a fence that is found out late is not minded',
    file: 'claim.js',
    find: 'if (!isLate)\n            return;',
    replace: 'return;',
    foundBy: { simulation: 'no frame after the fence' },
  },
  {
    title: 'a claim that was fenced once takes each revocation for a fence',
    file: 'claim.js',
    find: "this.state.isOnlyFenced = false;\n        this.#moveTo('fenced', reason);",
    replace: "this.#moveTo('fenced', reason);",
    foundBy: { simulation: 'a kill has its reason' },
  },
  {
    title: 'a withdrawn claim stands in line again',
    file: 'claim.js',
    find: "if (isFinal)\n            this.#emit({ type: 'tellWithdrawn' });",
    replace: '',
    foundBy: { simulation: 'a kill has its reason' },
  },
  {
    title: 'the fence lies a second too late',
    file: 'fence.js',
    find: 'Math.max(this.state.deadline, at + FENCE)',
    replace: 'Math.max(this.state.deadline, at + FENCE + 1_000)',
    foundBy: { simulation: 'no frame after the fence' },
  },
]
