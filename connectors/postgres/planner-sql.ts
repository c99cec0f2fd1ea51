import pg from 'pg'
import type { KeyPart } from '../keys.ts'
import { wrapModel, type ModelSql, type Wrapped } from '../pgwire/model-sql.ts'
import type { Selection } from '../pgwire/selection.ts'

/**
 * Pure: the statements of comparing inside PostgreSQL. Tables in the planner's schema, unlogged: after a crash of the server they are
 * empty, and an empty copy is one that is made anew.
 *
 * `tailrace_copies`: one row a sync, what its copy was made for and how far it goes. `tailrace_copy_<hash of the sync>`: the key's
 * parts k1, k2, …; f, the version mark; h, PostgreSQL's own hash of that row, NULL where it is not known or must prove nothing.
 */
export interface PlannerNames {
  readonly copies: string
  readonly copy: string
}

export function plannerNames(schema: string, syncHash: string): PlannerNames {
  const quoted = pg.escapeIdentifier(schema)
  return { copies: `${quoted}.tailrace_copies`, copy: `${quoted}.tailrace_copy_${syncHash}` }
}

/** In the dialect of COPY: what the key's parts and the marks are. */
const keyColumns = (parts: readonly KeyPart[]): string[] => parts.map((_, i) => `k${i + 1}`)
const keyTypes = (parts: readonly KeyPart[]): string =>
  parts.map((part, i) => `k${i + 1} ${part === 'int64' ? 'int8' : 'text collate "C"'}`).join(', ')

export function createCopies({ copies }: PlannerNames): string {
  return `create unlogged table if not exists ${copies} (sync text primary key, identity text not null, seq int8 not null)`
}

export function createCopy({ copy }: PlannerNames, parts: readonly KeyPart[]): string {
  const key = keyColumns(parts).join(', ')
  return `drop table if exists ${copy}; create unlogged table ${copy} (${keyTypes(parts)}, f int8 not null, h int8, primary key (${key}))`
}

export const WORK = ['acknowledged', 'hashes', 'watched'] as const

/** Gone at the end of the transaction. */
export function createWork(parts: readonly KeyPart[]): string {
  const table = (name: string, more: string): string => `create temporary table ${name} (${keyTypes(parts)}${more}) on commit drop`
  return [table('acknowledged', ', f int8'), table('hashes', ', f int8, h int8'), table('watched', '')].join('; ')
}

/** Brings the copy up to date from the work tables, in this order. */
export function applyWork({ copy }: PlannerNames, parts: readonly KeyPart[]): string[] {
  const keys = keyColumns(parts)
  const key = keys.join(', ')
  const same = (a: string, b: string): string => keys.map((name) => `${a}.${name} = ${b}.${name}`).join(' and ')
  return [
    'analyze acknowledged; analyze hashes',
    `delete from ${copy} c using acknowledged a where a.f is null and ${same('c', 'a')}`,
    // One pair may come twice; of several hashes of one version any will do: a wrong one only lets the row be looked at.
    `insert into ${copy} as c (${key}, f, h)
     select ${keys.map((name) => `a.${name}`).join(', ')}, a.f, x.h from acknowledged a
       left join (select ${key}, f, max(h) as h from hashes group by ${key}, f) x on ${same('x', 'a')} and x.f = a.f
     where a.f is not null
     on conflict (${key}) do update set f = excluded.f, h = coalesce(excluded.h, case when c.f = excluded.f then c.h end)`,
    `update ${copy} c set h = x.h from hashes x where ${same('c', 'x')} and c.f = x.f and c.h is distinct from x.h`,
    `update ${copy} c set h = null from watched w where ${same('c', 'w')} and c.h is not null`,
  ]
}

/**
 * The model beside the copy, in one statement and so of one snapshot: what leaves is a row that has no proof (not known, another hash,
 * a key that is NULL or comes more than once) and, marked by `-` at the end, a key that has no row. Each row ends with its hash.
 *
 * 64 bits do: a hash is only ever compared with one of the same key, so a change is missed with a chance of 2^-64. By record hash and
 * not by md5 of the text, which took three times as long (1M rows of 10 columns: 2.0 against 6.3 s); it may differ between major
 * versions, which are part of the copy's identity.
 */
export function differences({ copy }: PlannerNames, model: ModelSql, { items, keyParts }: Selection): Wrapped {
  const list = items.map(({ sql }, i) => `${sql} as i${i + 1}`)
  const hashed = items.map(({ sql, exact }) => (exact ? sql : `(${sql})::text`))
  const key = items.slice(0, keyParts.length)
  const inner = wrapModel(
    model,
    `${list.join(', ')}, count(*) over (partition by ${key.map(({ sql }) => sql).join(', ')}) as n, hash_record_extended(row(${hashed.join(', ')}), 0) as h`,
  )
  const out = items.map((_, i) => (i < keyParts.length ? `coalesce(m.i${i + 1}, c.k${i + 1})` : `m.i${i + 1}`))
  const head = `select ${out.join(', ')}, case when m.n is null then '-' else m.h::text end from (\n`
  const joined = key.map((_, i) => `m.i${i + 1} = c.k${i + 1}`).join(' and ')
  const tail = `\n) as m full join ${copy} as c on ${joined}
    where m.n is null or m.n > 1 or c.h is null or c.h <> m.h
    order by ${key.map((_, i) => String(i + 1)).join(', ')}`
  return { text: `${head}${inner.text}${tail}`, offset: Array.from(head).length + inner.offset }
}
