// Where in a segment the record of an id may be: hash to offset, in two flat arrays, because a million of strings in a Map
// would be a hundred MB. A hit is a guess: who asks reads the record.

const FIRST_SIZE = 1_024

export class IdIndex {
  #hashes = new Uint32Array(FIRST_SIZE)
  /** 0: free. A record never begins at 0, where the header is. */
  #offsets = new Uint32Array(FIRST_SIZE)
  #count = 0

  get size(): number {
    return this.#count
  }

  add(hash: number, offset: number): void {
    if (this.#count * 4 >= this.#offsets.length * 3) this.#grow()
    this.#put(hash, offset)
    this.#count++
  }

  /** Offsets of records whose id has this hash, those added last at the end. */
  find(hash: number): number[] {
    const mask = this.#offsets.length - 1
    const found: number[] = []
    for (let at = hash & mask; this.#offsets[at] !== 0; at = (at + 1) & mask)
      if (this.#hashes[at] === hash) found.push(this.#offsets[at] ?? 0)
    return found.length > 1 ? found.sort((a, b) => a - b) : found
  }

  #put(hash: number, offset: number): void {
    const mask = this.#offsets.length - 1
    let at = hash & mask
    while (this.#offsets[at] !== 0) at = (at + 1) & mask
    this.#hashes[at] = hash
    this.#offsets[at] = offset
  }

  #grow(): void {
    const hashes = this.#hashes
    const offsets = this.#offsets
    this.#hashes = new Uint32Array(hashes.length * 2)
    this.#offsets = new Uint32Array(offsets.length * 2)
    for (let at = 0; at < offsets.length; at++) {
      const offset = offsets[at] ?? 0
      if (offset !== 0) this.#put(hashes[at] ?? 0, offset)
    }
  }
}
