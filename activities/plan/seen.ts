/**
 * Which hashes may have been seen, in constant memory: 16 MB, one bit a hash. Says yes too often (7 % at 10M hashes), never no too
 * often; the exact answer is left to the database.
 */
export class HashFilter {
  readonly #bits = new Uint8Array(1 << 24)
  empty = true

  add(hash: Uint8Array): void {
    const slot = bitOf(hash)
    this.#bits[slot >>> 3] = (this.#bits[slot >>> 3] ?? 0) | (1 << (slot & 7))
    this.empty = false
  }

  mayHave(hash: Uint8Array): boolean {
    const slot = bitOf(hash)
    return ((this.#bits[slot >>> 3] ?? 0) & (1 << (slot & 7))) !== 0
  }
}

function bitOf(hash: Uint8Array): number {
  return (((hash[0] ?? 0) << 19) | ((hash[1] ?? 0) << 11) | ((hash[2] ?? 0) << 3) | ((hash[3] ?? 0) & 7)) >>> 0
}

/** One bit a number, growing: 1.25 MB for 10M. */
export class BitSet {
  #bits = new Uint8Array(1 << 12)

  add(index: number): void {
    const byte = index >>> 3
    if (byte >= this.#bits.length) {
      const grown = new Uint8Array(Math.max(byte + 1, this.#bits.length * 2))
      grown.set(this.#bits)
      this.#bits = grown
    }
    this.#bits[byte] = (this.#bits[byte] ?? 0) | (1 << (index & 7))
  }

  delete(index: number): void {
    this.#bits[index >>> 3] = (this.#bits[index >>> 3] ?? 0) & ~(1 << (index & 7))
  }

  has(index: number): boolean {
    return ((this.#bits[index >>> 3] ?? 0) & (1 << (index & 7))) !== 0
  }
}
