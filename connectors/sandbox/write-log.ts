import { createHash } from 'node:crypto'
import type { StandInReport, WriteCount } from './stand-in.ts'

export interface Write {
  readonly object: string
  /** What identifies the record for the one who counts: the match value, or the row's key. */
  readonly key: string
  /** Id of the record version, if the request carries one. */
  readonly recordId?: string
  /** What is written, in a form that is equal for equal content (JSON text of the properties); null: removed. */
  readonly content: string | null
}

interface Entry {
  readonly object: string
  readonly key: string
  readonly recordId: string | null
  readonly content: string
  effective: number
  repeated: number
}

/**
 * Counts what took effect. A write is `repeated` if its record id was applied before, or, without ids, if the last write of that
 * record had the same content; every other one is `effective`. A → B → A are three effective writes. Exactly once means:
 * every planned version effective once and nothing repeated.
 */
export class WriteLog {
  readonly #entries = new Map<string, Entry>()
  readonly #last = new Map<string, string>()
  #effective = 0
  #repeated = 0

  applied(write: Write): 'effective' | 'repeated' {
    const record = JSON.stringify([write.object, write.key])
    const content = write.content === null ? 'deleted' : createHash('sha256').update(write.content).digest('hex').slice(0, 16)
    const version = `${record}${write.recordId ?? content}`
    const entry = this.#entries.get(version) ?? {
      object: write.object,
      key: write.key,
      recordId: write.recordId ?? null,
      content,
      effective: 0,
      repeated: 0,
    }
    const again = write.recordId === undefined ? this.#last.get(record) === content : entry.effective > 0
    if (again) {
      entry.repeated += 1
      this.#repeated += 1
    } else {
      entry.effective += 1
      this.#effective += 1
    }
    this.#entries.set(version, entry)
    this.#last.set(record, content)
    return again ? 'repeated' : 'effective'
  }

  report(records: number, findings: Readonly<Record<string, unknown>> = {}): StandInReport {
    const writes: WriteCount[] = [...this.#entries.values()].map((entry) => ({ ...entry }))
    return { writes, totals: { records, effective: this.#effective, repeated: this.#repeated }, findings }
  }

  reset(): void {
    this.#entries.clear()
    this.#last.clear()
    this.#effective = 0
    this.#repeated = 0
  }
}
