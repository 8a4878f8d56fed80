// Which addresses the endpoints of `connectionBudget` have: a connection is known to the kernel by its address alone.

import { lookup } from 'node:dns/promises'
import { isIP } from 'node:net'
import { showEndpoint } from '../audit/socket-table.js'
import { settledWithin } from '../shared/settled-within.js'

/** ms. What is not known by then is not known: an audit does not wait for a name server. */
const PATIENCE = 500
/** ms for which an answer counts. */
const FRESH = 60_000

interface Answer {
  at: number
  addresses: string[]
}

export class EndpointNames {
  readonly #answers = new Map<string, Answer>()
  /** A look-up cannot be cancelled: there is one at a time for each name. */
  readonly #asked = new Map<string, Promise<void>>()

  /** `93.184.216.34:443` -> `api.example.com:443`. */
  async of(endpoints: readonly string[]): Promise<Map<string, string>> {
    const wanted = endpoints.flatMap((endpoint) => {
      const [, host, port] = /^\[?(.*?)\]?:(\d+)$/.exec(endpoint) ?? []
      return host === undefined || isIP(host) !== 0 ? [] : [{ endpoint, host, port: Number(port) }]
    })
    const asked = [...new Set(wanted.map(({ host }) => host))].map((host) => this.#ask(host))
    await settledWithin(Promise.all(asked), PATIENCE)
    return new Map(
      wanted.flatMap(({ endpoint, host, port }) =>
        (this.#answers.get(host)?.addresses ?? []).map((address): [string, string] => [
          showEndpoint({ address, port }),
          endpoint,
        ]),
      ),
    )
  }

  #ask(host: string): Promise<void> {
    const known = this.#answers.get(host)
    if (known !== undefined && Date.now() - known.at < FRESH) return Promise.resolve()
    const asked =
      this.#asked.get(host) ??
      lookup(host, { all: true })
        .then((found) => {
          this.#answers.set(host, { at: Date.now(), addresses: found.map(({ address }) => address) })
        })
        .catch(() => {})
        .finally(() => this.#asked.delete(host))
    this.#asked.set(host, asked)
    return asked
  }
}
