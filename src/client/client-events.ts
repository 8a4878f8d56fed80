// What a client tells the world: its events, and the same through node:diagnostics_channel for who observes all clients
// of a process. One payload object per event; `message` has two arguments, as a WebSocket's listeners expect.

import { channel } from 'node:diagnostics_channel'
import type { EventEmitter } from 'node:events'
import type { ForksafeError } from '../shared/errors.js'
import type { LeaseOwner } from '../shared/lease-provider.js'
import type { MessageInfo } from './client-options.js'
import type { ClientState } from './client-states.js'

export interface ClientEvents {
  connecting: [{ epoch: number }]
  opened: [{ epoch: number }]
  message: [data: string | Buffer, info: MessageInfo]
  /**
   * A connection that had been open ended; what follows is told by `waiting`, `refused`, `superseded` or `closed`.
   * `isByPeer`: the upstream ended it, or the way to it, and not this client.
   */
  lost: [{ epoch: number; code: number; reason: string; isByPeer: boolean; message: string }]
  waiting: [{ delay: number; attempt: number; reason: string }]
  /** It will not try again by itself: `connect()` begins anew. */
  refused: [{ error: ForksafeError }]
  /** Another session took the place of this one: it stays away until `connect()`. */
  superseded: [{ code: number; reason: string }]
  /** The peer answers no pings: receipts say `written` from here on. */
  receiptsDegraded: [{ epoch: number; reason: string }]
  /** It does after all. */
  receiptsRestored: [{ epoch: number }]
  /** Exclusive: this process holds the lease, and dials. */
  acquired: [{ fencingToken: number | null }]
  /** Exclusive: it does not hold it any more, and its connection is gone. */
  released: [{ reason: string }]
  /** Exclusive: another process holds it, and messages go to that one if it is of the same supervisor. */
  standingBy: [{ owner: LeaseOwner | null }]
  stateChanged: [{ from: ClientState; to: ClientState; reason: string }]
  closed: []
}

/** What subscribers of the channel `forksafe.client.EVENT` get. */
export interface ClientEventMessage {
  client: string
  event: keyof ClientEvents
  /** The event's arguments. */
  payload: unknown[]
}

type Announcement = () => unknown

/** Calls listeners when a decision has been carried out whole: what they call back may change everything. */
export class Announcer {
  readonly #emitter: EventEmitter<ClientEvents>
  readonly #client: string
  readonly #announcements: Announcement[] = []
  #isAnnouncing = false

  constructor(client: string, emitter: EventEmitter<ClientEvents>) {
    this.#client = client
    this.#emitter = emitter
  }

  isHeard(event: keyof ClientEvents): boolean {
    return channels[event].hasSubscribers || this.#emitter.listenerCount(event) > 0
  }

  tell<Name extends keyof ClientEvents>(event: Name, ...payload: ClientEvents[Name]): void {
    this.later(() => {
      const observers = channels[event]
      if (observers.hasSubscribers)
        observers.publish({ client: this.#client, event, payload } satisfies ClientEventMessage)
      // EventEmitter's own types cannot follow a generic event name.
      Reflect.apply(this.#emitter.emit, this.#emitter, [event, ...payload])
    })
  }

  later(announcement: Announcement): void {
    this.#announcements.push(announcement)
  }

  /** What a listener throws is its own fault and ends the process as it would anywhere else. */
  announce(): void {
    if (this.#isAnnouncing) return
    this.#isAnnouncing = true
    for (;;) {
      const announcement = this.#announcements.shift()
      if (announcement === undefined) break
      try {
        announcement()
      } catch (error) {
        process.nextTick(() => {
          throw error
        })
      }
    }
    this.#isAnnouncing = false
  }
}

export const CLIENT_EVENTS = [
  'connecting',
  'opened',
  'message',
  'lost',
  'waiting',
  'refused',
  'superseded',
  'receiptsDegraded',
  'receiptsRestored',
  'acquired',
  'released',
  'standingBy',
  'stateChanged',
  'closed',
] as const satisfies readonly (keyof ClientEvents)[]

const channels = Object.fromEntries(
  CLIENT_EVENTS.map((event) => [event, channel(`forksafe.client.${event}`)]),
) as Record<keyof ClientEvents, ReturnType<typeof channel>>
