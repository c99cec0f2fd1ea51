import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'

/** What a suite has found, in `proof/<name>.json`; `npm run proof` makes PROOF.md of all of them (test/proof.ts). */
export interface Proof {
  readonly title: string
  /** What was done and what is counted, in Markdown. */
  readonly about: string
  /** Name of the rows, for the table's head. */
  readonly rows: string
  /** What reproduces one row; `ROW` stands for its name. */
  readonly command: string
  /** Row → column → variant. */
  readonly cells: Record<string, Record<string, Record<string, Finding>>>
}

export interface Finding {
  readonly lost: number
  readonly doubled: number
  /** Repeats that the receiver drops by their id. */
  readonly repeats: number
  /** Day of the measurement, ISO 8601. */
  readonly on: string
}

type About = Omit<Proof, 'cells'>

/** Puts one finding into the suite's file; earlier ones of other cells stay, so that a part may be measured again by itself. */
export function record(name: string, about: About, at: { row: string; column: string; variant: string }, count: Omit<Finding, 'on'>): void {
  const cells: Proof['cells'] = readProof(name)?.cells ?? {}
  const row = (cells[at.row] ??= {})
  const column = (row[at.column] ??= {})
  const { lost, doubled, repeats } = count
  column[at.variant] = { lost, doubled, repeats, on: new Date().toISOString().slice(0, 10) }
  mkdirSync('proof', { recursive: true })
  writeFileSync(`proof/${name}.json`, `${JSON.stringify({ ...about, cells }, null, 2)}\n`)
}

export function readProof(name: string): Proof | null {
  try {
    return JSON.parse(readFileSync(`proof/${name}.json`, 'utf8')) as Proof
  } catch {
    return null
  }
}
