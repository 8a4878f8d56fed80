// The ways between standbys and the holder of what is exclusive: which there are, and what goes over them. Payloads are
// passed on as they are; what they mean is src/client/link-messages.ts. Who holds what is lease-desk.ts.

import type { PrimaryLeaseMessage } from '../shared/lease-protocol.js'

/** A place in the line, as far as a link ends there. */
export interface LinkEnd {
  readonly worker: number
  readonly claim: number
}

interface Link {
  readonly id: number
  readonly standby: LinkEnd
  readonly holder: LinkEnd
}

export interface LeaseLinksActions {
  /** @param onWritten called when the message has left this process, or never will. */
  tell(worker: number, message: PrimaryLeaseMessage, onWritten?: () => void): void
  /** So many batches of what came in were not handed to a worker, because it does not read. */
  dropped(worker: number, batches: number): void
}

/** Batches of what comes in that may wait for one worker: it is stopped, or too slow, and memory is not without end. */
const MOST_UNREAD = 256

export class LeaseLinks {
  readonly #actions: LeaseLinksActions
  readonly #links = new Map<number, Link>()
  /** Batches on their way to a worker, and those that were not sent because there were too many. */
  readonly #unread = new Map<number, { count: number; dropped: number }>()
  #last = 0

  constructor(actions: LeaseLinksActions) {
    this.#actions = actions
  }

  /** Between the holder and each who stands by; those that are there already stay. */
  open(holder: LinkEnd, standbys: readonly LinkEnd[]): void {
    const linked = new Set([...this.#links.values()].map(({ standby }) => standby))
    for (const standby of standbys) {
      if (linked.has(standby)) continue
      const link: Link = { id: ++this.#last, standby, holder }
      this.#links.set(link.id, link)
      // The holder first: it must know the link when the first message comes over it.
      for (const { worker, claim } of [holder, standby])
        this.#actions.tell(worker, { do: 'linkOpened', claim, link: link.id })
    }
  }

  /** From one end of a link to the other. */
  pass(from: LinkEnd, id: number, payload: unknown): void {
    const link = this.#links.get(id)
    const to = link?.standby === from ? link.holder : link?.holder === from ? link.standby : undefined
    if (to !== undefined)
      this.#actions.tell(to.worker, { do: 'linkData', claim: to.claim, link: id, payload })
  }

  /** What has come in, to every standby that reads. */
  broadcast(holder: LinkEnd, payload: unknown): void {
    for (const { id, standby } of this.#from(holder)) {
      const { worker, claim } = standby
      const unread = this.#unread.get(worker) ?? { count: 0, dropped: 0 }
      this.#unread.set(worker, unread)
      if (unread.count >= MOST_UNREAD) {
        unread.dropped++
        continue
      }
      unread.count++
      this.#actions.tell(worker, { do: 'linkData', claim, link: id, payload }, () => this.#read(worker))
    }
  }

  #read(worker: number): void {
    const unread = this.#unread.get(worker)
    if (unread === undefined) return
    unread.count--
    if (unread.count > 0) return
    if (unread.dropped > 0) this.#actions.dropped(worker, unread.dropped)
    this.#unread.delete(worker)
  }

  /** The holder takes nothing more. */
  closeFrom(holder: LinkEnd): void {
    for (const link of this.#from(holder)) this.#close(link)
  }

  /** One end is gone. */
  closeAt(end: LinkEnd): void {
    for (const link of this.#links.values())
      if (link.standby === end || link.holder === end) this.#close(link)
  }

  #from(holder: LinkEnd): Link[] {
    return [...this.#links.values()].filter((link) => link.holder === holder)
  }

  #close(link: Link): void {
    if (!this.#links.delete(link.id)) return
    for (const { worker, claim } of [link.standby, link.holder])
      this.#actions.tell(worker, { do: 'linkClosed', claim, link: link.id })
  }
}
