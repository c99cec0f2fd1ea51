import type pg from 'pg'
import { compareBytes } from './bytes.ts'
import { SegmentCursor } from './segment.ts'

interface OpenSegment {
  readonly firstKey: Buffer
  readonly seq: number
  readonly cursor: SegmentCursor
}

const SEGMENTS_A_FETCH = 200

/**
 * The baseline of one generation in key order: a merge of its segments, opened in (first_key, seq) order; for a key that
 * several hold, the highest seq wins. `next()` gives false at the end; after true, `current` is valid until the next call.
 * Entries whose removal was acknowledged are left out unless `withRemoved`; segments up to `aboveSeq` are left out.
 *
 * The client must be inside a REPEATABLE READ transaction, so that two passes see the same entries.
 */
export class BaselineReader {
  current: SegmentCursor | null = null

  readonly #client: pg.ClientBase
  readonly #cursorName: string
  readonly #select: string
  readonly #withRemoved: boolean
  #started = false
  #ended = false
  #pending: OpenSegment[] = []
  #open: OpenSegment[] = []
  #winner: OpenSegment | null = null

  constructor(
    client: pg.ClientBase,
    options: { sync: string; generation: number; cursorName: string; withRemoved?: boolean; aboveSeq?: number },
  ) {
    this.#client = client
    this.#cursorName = options.cursorName
    this.#withRemoved = options.withRemoved ?? false
    this.#select = `select first_key, seq, entries from baseline_segment
      where sync = ${client.escapeLiteral(options.sync)} and generation = ${options.generation} and seq > ${options.aboveSeq ?? -1} order by first_key, seq`
  }

  /** A promise only where segments have to be fetched: an await per row would cost more than the comparison. */
  next(): boolean | Promise<boolean> {
    for (;;) {
      this.#stepPast()
      if (this.#pending.length === 0 && !this.#ended) return this.#fetch().then(() => this.next())
      const opened = this.#openDue()
      if (opened === 'fetch') return this.#fetch().then(() => this.next())
      this.#winner = this.#least()
      this.current = this.#winner?.cursor ?? null
      if (!this.current) return false
      if (this.#withRemoved || !this.current.removed) return true
    }
  }

  /** Moves every open segment past the key that was given last. */
  #stepPast(): void {
    const winner = this.#winner
    if (!winner) return
    this.#winner = null
    if (this.#open.length === 1) {
      if (!winner.cursor.next()) this.#open = []
      return
    }
    const { bytes, keyStart, keyEnd } = winner.cursor
    this.#open = this.#open.filter((segment) => {
      const cursor = segment.cursor
      if (segment !== winner && compareBytes(cursor.bytes, cursor.keyStart, cursor.keyEnd, bytes, keyStart, keyEnd) !== 0) return true
      return cursor.next()
    })
  }

  /** Opens pending segments that may hold the least key. */
  #openDue(): 'done' | 'fetch' {
    for (;;) {
      const pending = this.#pending[0]
      if (!pending) return this.#ended ? 'done' : 'fetch'
      if (this.#open.length > 0 && !this.#startsBeforeOpen(pending)) return 'done'
      this.#pending.shift()
      if (pending.cursor.next()) this.#open.push(pending)
    }
  }

  #startsBeforeOpen(pending: OpenSegment): boolean {
    const key = pending.firstKey
    return this.#open.some(({ cursor }) => compareBytes(key, 0, key.length, cursor.bytes, cursor.keyStart, cursor.keyEnd) <= 0)
  }

  #least(): OpenSegment | null {
    let least: OpenSegment | null = null
    for (const segment of this.#open) {
      if (!least) {
        least = segment
        continue
      }
      const a = segment.cursor
      const b = least.cursor
      const order = compareBytes(a.bytes, a.keyStart, a.keyEnd, b.bytes, b.keyStart, b.keyEnd)
      if (order < 0 || (order === 0 && segment.seq > least.seq)) least = segment
    }
    return least
  }

  async #fetch(): Promise<void> {
    if (!this.#started) {
      await this.#client.query(`declare ${this.#cursorName} no scroll cursor for ${this.#select}`)
      this.#started = true
    }
    const { rows } = await this.#client.query<{ first_key: Buffer; seq: number; entries: Buffer }>(
      `fetch ${SEGMENTS_A_FETCH} from ${this.#cursorName}`,
    )
    if (rows.length < SEGMENTS_A_FETCH) this.#ended = true
    for (const row of rows) {
      this.#pending.push({ firstKey: row.first_key, seq: row.seq, cursor: new SegmentCursor(row.entries) })
    }
  }
}

/** The highest seq of a generation's segments; 0 where it has none. */
export async function lastSeq(client: pg.ClientBase, sync: string, generation: number): Promise<number> {
  const { rows } = await client.query<{ seq: number | null }>(
    'select max(seq) as seq from baseline_segment where sync = $1 and generation = $2',
    [sync, generation],
  )
  return rows[0]?.seq ?? 0
}
