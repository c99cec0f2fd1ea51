/**
 * Packed baseline entries, sorted by key: the body of a batch and of a baseline segment, the same bytes, so that settling a
 * batch copies one blob (measured: 25 bytes a record with 8-byte keys, 3.6 times faster than a row per record).
 *
 * Layout: one byte of flags (1: entries carry a match value), then per entry
 * u16 key length · key · 16 bytes fingerprint · with flag 1: u16 match length · match (UTF-8).
 */
export const FINGERPRINT_BYTES = 16

/** Fingerprint of a record whose removal was acknowledged. */
export const REMOVED = Buffer.alloc(FINGERPRINT_BYTES, 0)

const HAS_MATCH = 1

export class SegmentWriter {
  readonly hasMatch: boolean
  #bytes: Buffer = Buffer.allocUnsafe(4096)
  #end = 1
  #size = 0
  #firstKey: Buffer | null = null
  #lastStart = 0

  constructor(hasMatch: boolean) {
    this.hasMatch = hasMatch
    this.#bytes[0] = hasMatch ? HAS_MATCH : 0
  }

  get size(): number {
    return this.#size
  }

  get sizeBytes(): number {
    return this.#end
  }

  /** Keys must come in ascending order. `match` is ignored unless the segment carries match values. */
  add(key: Buffer, fingerprint: Uint8Array, match: string | null): void {
    const matchBytes = this.hasMatch ? Buffer.from(match ?? '', 'utf8') : null
    if (key.length > 0xffff || (matchBytes && matchBytes.length > 0xffff))
      throw new RangeError('a key or match value is longer than 65,535 bytes')
    const need = 2 + key.length + FINGERPRINT_BYTES + (matchBytes ? 2 + matchBytes.length : 0)
    while (this.#end + need > this.#bytes.length) this.#bytes = Buffer.concat([this.#bytes, Buffer.allocUnsafe(this.#bytes.length)])
    const bytes = this.#bytes
    this.#lastStart = this.#end
    let at = bytes.writeUInt16BE(key.length, this.#end)
    at += key.copy(bytes, at)
    bytes.set(fingerprint, at)
    at += FINGERPRINT_BYTES
    if (matchBytes) {
      at = bytes.writeUInt16BE(matchBytes.length, at)
      at += matchBytes.copy(bytes, at)
    }
    this.#end = at
    this.#firstKey ??= Buffer.from(key)
    this.#size++
  }

  /** The packed entries; the writer is empty again. Null when nothing was added. */
  take(): PackedSegment | null {
    if (!this.#firstKey) return null
    const keyLength = this.#bytes.readUInt16BE(this.#lastStart)
    const lastKey = Buffer.from(this.#bytes.subarray(this.#lastStart + 2, this.#lastStart + 2 + keyLength))
    const packed = { firstKey: this.#firstKey, lastKey, size: this.#size, entries: Buffer.from(this.#bytes.subarray(0, this.#end)) }
    this.#firstKey = null
    this.#size = 0
    this.#end = 1
    return packed
  }
}

export interface PackedSegment {
  readonly firstKey: Buffer
  readonly lastKey: Buffer
  readonly size: number
  readonly entries: Buffer
}

/** Walks packed entries in place: after `next()` the fields name the slices of the current entry, nothing is copied. */
export class SegmentCursor {
  readonly bytes: Buffer
  readonly hasMatch: boolean
  keyStart = 0
  keyEnd = 0
  fingerprintStart = 0
  #matchStart = 0
  #next = 1

  constructor(entries: Buffer) {
    this.bytes = entries
    this.hasMatch = entries[0] === HAS_MATCH
  }

  next(): boolean {
    const bytes = this.bytes
    if (this.#next >= bytes.length) return false
    this.keyStart = this.#next + 2
    this.keyEnd = this.keyStart + (((bytes[this.#next] ?? 0) << 8) | (bytes[this.#next + 1] ?? 0))
    this.fingerprintStart = this.keyEnd
    this.#matchStart = this.keyEnd + FINGERPRINT_BYTES
    this.#next = this.hasMatch ? this.#matchStart + 2 + bytes.readUInt16BE(this.#matchStart) : this.#matchStart
    return true
  }

  get key(): Buffer {
    return this.bytes.subarray(this.keyStart, this.keyEnd)
  }

  get fingerprint(): Buffer {
    return this.bytes.subarray(this.fingerprintStart, this.fingerprintStart + FINGERPRINT_BYTES)
  }

  /** Match value it was sent under; null: the key itself (or the sync has no match field). */
  get match(): string | null {
    return this.hasMatch ? this.bytes.toString('utf8', this.#matchStart + 2, this.#next) : null
  }

  get removed(): boolean {
    for (let i = 0; i < FINGERPRINT_BYTES; i++) if (this.bytes[this.fingerprintStart + i] !== 0) return false
    return true
  }
}

export interface Entry {
  readonly key: Buffer
  readonly fingerprint: Buffer
  readonly match: string | null
}

export function unpack(entries: Buffer): Entry[] {
  const cursor = new SegmentCursor(entries)
  const all: Entry[] = []
  while (cursor.next()) all.push({ key: cursor.key, fingerprint: cursor.fingerprint, match: cursor.match })
  return all
}

/** The entries at the given positions; null when none is left. */
export function subset(entries: Buffer, keep: (index: number) => boolean): PackedSegment | null {
  const cursor = new SegmentCursor(entries)
  const writer = new SegmentWriter(cursor.hasMatch)
  for (let i = 0; cursor.next(); i++) if (keep(i)) writer.add(cursor.key, cursor.fingerprint, cursor.match)
  return writer.take()
}
