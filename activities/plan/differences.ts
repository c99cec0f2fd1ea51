import type { CopyTotals } from '../../connectors/source-contract.ts'
import { compareBytes } from '../../state/bytes.ts'
import type { SegmentCursor } from '../../state/segment.ts'

const WORD = 0x1_0000_0000

/**
 * What a pass needs where the warehouse compared: which of the baseline's keys have left the model, as the others without a row did
 * not change; and whether the copy that proved so is the baseline. It adds up the marks of all entries that go by, so that no
 * fault of the copy, whatever it comes from, stays unseen: a plan is published only if the sums agree.
 */
export class Differences {
  #gone: Buffer[] = []
  #next = 0
  #size = 0
  #low = 0
  #high = 0
  #hides = false

  /** A key that left the model; they come in order, and before the rows behind them. */
  left(key: Buffer): void {
    if (this.#next === this.#gone.length) {
      this.#gone = []
      this.#next = 0
    }
    this.#gone.push(Buffer.from(key))
  }

  /** Asked in key order, of keys that no row came for; more than once is the same. */
  hasLeft(entry: SegmentCursor): boolean {
    for (;;) {
      const key = this.#gone[this.#next]
      if (key === undefined) return false
      const order = compareBytes(key, 0, key.length, entry.bytes, entry.keyStart, entry.keyEnd)
      if (order >= 0) return order === 0
      this.#next++
    }
  }

  /** Every entry of the baseline; two words, as a BigInt an entry would cost more than the rest of the pass. */
  passed({ bytes, fingerprintStart: at }: SegmentCursor): void {
    this.#size++
    const low = this.#low + bytes.readUInt32BE(at + 4)
    this.#low = low % WORD
    this.#high = (this.#high + bytes.readUInt32BE(at) + (low < WORD ? 0 : 1)) % WORD
  }

  /** An entry that has to be looked at did not come. */
  hidden(): void {
    this.#hides = true
  }

  /** Whether these entries are the copy's. Sums are of 64 bits, whatever their sign. */
  agrees(copied: CopyTotals): boolean {
    const sum = (BigInt(this.#high) << 32n) | BigInt(this.#low)
    return !this.#hides && copied.size === this.#size && BigInt.asUintN(64, copied.sum) === sum
  }
}

/** First 8 bytes of a fingerprint, signed: as a warehouse's 64-bit integer holds it. */
export function versionMark(bytes: Buffer, at = 0): bigint {
  return bytes.readBigInt64BE(at)
}
