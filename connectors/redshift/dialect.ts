import type { Dialect } from '../pgwire/dialect.ts'
import { cursorRows } from './cursor.ts'
import { KEY_TYPES, typedColumn } from './types.ts'

/** What Redshift does its own way; rules as in the Amazon Redshift Database Developer Guide. */
export const REDSHIFT: Dialect = {
  slug: 'redshift',
  title: 'Redshift',
  port: 5439,
  schemes: ['postgres', 'postgresql', 'redshift'],
  advice: {
    ended: '; the cluster was resized, patched or paused, or a rule of workload management ended the query',
    login: '; check user, database and the security group of the cluster',
  },
  // There are no settings for bytes and intervals, and clients always get UTF-8. extra_float_digits ends at 2 and statement_timeout
  // knows milliseconds only (configuration reference).
  settings: (statementTimeoutSeconds) => ({
    datestyle: 'ISO',
    timezone: 'UTC',
    extra_float_digits: '2',
    statement_timeout: String(statementTimeoutSeconds * 1000),
  }),
  statementTimeout: (seconds) => String(seconds * 1000),
  columns: (_, fields) => Promise.resolve(fields.map(typedColumn)),
  keyTypes: KEY_TYPES,
  /**
   * Text is ordered by its UTF-8 bytes (collation sequences), but for blanks at its end, which do not count (character types): the
   * shorter one first makes that the order of bytes. Where a database or a column is CASE_INSENSITIVE the plan finds keys out of
   * order and says so; `collate(key, 'case_sensitive')` in the model's SQL helps.
   */
  keyOrder: () =>
    Promise.resolve((sql, part, position) => ({
      item: sql,
      orderBy: part === 'int64' ? String(position) : `${position}, octet_length(${sql})`,
    })),
  // Queries that run on the cluster, our own ones only.
  working: 'select 1 from stv_inflight where pid = $1',
  rows: cursorRows,
}
