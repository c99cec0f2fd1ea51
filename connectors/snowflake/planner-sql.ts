import type { KeyPart } from '../keys.ts'
import { wrapModel } from './model-sql.ts'
import { field, type Selection } from './selection.ts'
import { quoteText } from './session.ts'

/**
 * Pure: the statements of comparing inside Snowflake. Each of them is whole by itself and none belongs to a transaction: one that a
 * dying worker leaves open keeps its locks (Snowflake, "Transactions", aborting: until it blocks somebody for five minutes).
 *
 * `TAILRACE_COPY_<hash of the sync>`: the key's parts K1, K2, … (a text as its bytes, so that no collation has a say); F, the version
 * mark; H, the MD5 of that row's line, NULL where it is not known or must prove nothing; and, the same in every row, what the copy was
 * made for and how far it goes. Transient: it can be made anew.
 */
export interface PlannerNames {
  readonly copy: string
  /** Of the session. */
  readonly work: string
}

export function plannerNames(schema: string, suffix: string): PlannerNames {
  const upper = suffix.toUpperCase()
  return { copy: `${schema}."TAILRACE_COPY_${upper}"`, work: `${schema}."TAILRACE_WORK_${upper}"` }
}

type Columns = (table: string) => string[]

const keysOf =
  (parts: readonly KeyPart[]): Columns =>
  (table) =>
    parts.map((_, i) => `${table}.K${i + 1}`)
const same = (key: Columns, a: string, b: string): string => {
  const others = key(b)
  return key(a)
    .map((name, i) => `${name} = ${others[i] ?? ''}`)
    .join(' AND ')
}
const list = (sql: readonly string[]): string => sql.map((each, i) => `${each} AS K${i + 1}`).join(', ')

/** Identity and seq, apart by a blank; no row where the copy is empty, which proves nothing anyway. */
export function standingOf({ copy }: PlannerNames): string {
  return `SELECT IDENTITY || ' ' || TO_VARCHAR(SEQ) AS LINE FROM ${copy} LIMIT 1`
}

export function createCopy({ copy }: PlannerNames, parts: readonly KeyPart[]): string {
  const key = parts.map((part, i) => `K${i + 1} ${part === 'int64' ? 'NUMBER(19, 0)' : 'BINARY'}`)
  return `CREATE OR REPLACE TRANSIENT TABLE ${copy} (${key.join(', ')}, F NUMBER(19, 0), H VARCHAR, IDENTITY VARCHAR, SEQ NUMBER(19, 0))`
}

/** What an entry is there for: acknowledged, a hash, watched. */
export type EntryKind = 'A' | 'H' | 'W'

export function createWork({ work }: PlannerNames, parts: readonly KeyPart[]): string {
  const key = parts.map((part, i) => `K${i + 1} ${part === 'int64' ? 'NUMBER(19, 0)' : 'VARCHAR'}`)
  return `CREATE OR REPLACE TEMPORARY TABLE ${work} (KIND VARCHAR, ${key.join(', ')}, F NUMBER(19, 0), H VARCHAR)`
}

/** For rows of kind, key, F and H. */
export function insertWork({ work }: PlannerNames, parts: readonly KeyPart[]): string {
  return `INSERT INTO ${work} VALUES (?, ${parts.map(() => '?').join(', ')}, ?, ?)`
}

/**
 * The copy brought up to date from the work table, in the place of the old one. By a new table and not by MERGE: keys lie scattered over
 * all partitions, so nearly all would be written anew either way, and a replaced table is there as a whole or not at all.
 */
export function advanceCopy(
  { copy, work }: PlannerNames,
  parts: readonly KeyPart[],
  { identity, seq }: { identity: string; seq: number },
): string {
  const key = keysOf(parts)
  const plain = parts.map((_, i) => `K${i + 1}`).join(', ')
  const bytes = parts.map((part, i) => (part === 'int64' ? `K${i + 1}` : `TO_BINARY(K${i + 1}, 'UTF-8')`))
  const either = key('a').map((name, i) => `COALESCE(${name}, c.K${i + 1})`)
  return `CREATE OR REPLACE TRANSIENT TABLE ${copy} AS
    WITH entries AS (SELECT KIND, ${list(bytes)}, F, H FROM ${work}),
      acknowledged AS (SELECT * FROM entries WHERE KIND = 'A'),
      hashes AS (SELECT ${plain}, F, MAX(H) AS H FROM entries WHERE KIND = 'H' GROUP BY ${plain}, F),
      watched AS (SELECT DISTINCT ${plain} FROM entries WHERE KIND = 'W'),
      known AS (SELECT ${list(either)}, IFF(a.K1 IS NULL, c.F, a.F) AS F, IFF(a.K1 IS NULL OR a.F = c.F, c.H, NULL) AS H
        FROM ${copy} AS c FULL JOIN acknowledged AS a ON ${same(key, 'c', 'a')})
    SELECT ${list(key('n'))}, n.F AS F, IFF(w.K1 IS NULL, COALESCE(h.H, n.H), NULL) AS H,
      ${quoteText(identity)} AS IDENTITY, ${seq}::NUMBER(19, 0) AS SEQ
    FROM known AS n LEFT JOIN hashes AS h ON ${same(key, 'n', 'h')} AND n.F = h.F LEFT JOIN watched AS w ON ${same(key, 'n', 'w')}
    WHERE n.F IS NOT NULL`
}

export function dropTable(table: string): string {
  return `DROP TABLE IF EXISTS ${table}`
}

/** Starts the last field of the one line that is no row. */
export const TOTALS = '='

/**
 * The model beside the copy, in one statement and so of one snapshot: lines of rows that have no proof (not known, another hash, a key
 * that is NULL or comes more than once), each ending with its hash; lines of keys that have no row, ending with `-`; and at the end
 * one line with how many keys the copy has and the sum of their marks. MD5, as HASH() has 64 bits of which nothing is promised.
 */
export function differences({ copy }: PlannerNames, model: string, { line, order, keyParts: parts }: Selection): string {
  const key = keysOf(parts)
  const plain = parts.map((_, i) => `K${i + 1}`).join(', ')
  const either = key('m').map((name, i) => `COALESCE(${name}, c.K${i + 1})`)
  const texts = parts.map((part, i) => (part === 'int64' ? `TO_VARCHAR(c.K${i + 1})` : field(`TO_VARCHAR(c.K${i + 1}, 'UTF-8')`, true)))
  const gone = [...texts, "'-'"].join(' || CHR(9) || ')
  const nothing = parts.map(() => "CHR(92) || 'N'")
  const totals = [...nothing, `'${TOTALS}' || TO_VARCHAR(COUNT(*)) || ',' || TO_VARCHAR(COALESCE(SUM(F), 0))`].join(' || CHR(9) || ')
  return `SELECT LINE FROM (
    SELECT 0 AS LAST, ${list(either)}, IFF(m.N IS NULL, ${gone}, m.LINE || CHR(9) || m.H) AS LINE
    FROM (SELECT ${plain}, LINE, MD5(LINE) AS H, COUNT(*) OVER (PARTITION BY ${plain}) AS N FROM (
${wrapModel(model, `${list(order)}, ${line} AS LINE`)}
    ) AS rows_of_model) AS m FULL JOIN ${copy} AS c ON ${same(key, 'm', 'c')}
    WHERE m.N IS NULL OR m.N > 1 OR c.H IS NULL OR c.H <> m.H
    UNION ALL
    SELECT 1, ${parts.map(() => 'NULL').join(', ')}, ${totals} FROM ${copy}
  ) AS found ORDER BY LAST, ${plain}`
}
