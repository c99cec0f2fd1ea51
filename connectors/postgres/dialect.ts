import { to as copyTo } from 'pg-copy-streams'
import type { Dialect } from '../pgwire/dialect.ts'
import { KEY_TYPES, typedColumns } from './types.ts'

const REPLICA = '; on a replica, turn hot_standby_feedback on or raise max_standby_streaming_delay'

export const POSTGRES: Dialect = {
  slug: 'postgres',
  title: 'PostgreSQL',
  port: 5432,
  schemes: ['postgres', 'postgresql'],
  advice: {
    ended: REPLICA,
    login: '; the role may not log in, or pg_hba.conf does not let it in from here (perhaps only with TLS: sslmode=require)',
  },
  // extra_float_digits 3 prints floats so that they read back the same.
  settings: (statementTimeoutSeconds) => ({
    client_encoding: 'UTF8',
    standard_conforming_strings: 'on',
    datestyle: 'ISO',
    timezone: 'UTC',
    intervalstyle: 'iso_8601',
    extra_float_digits: '3',
    bytea_output: 'hex',
    lc_monetary: 'C',
    xmlbinary: 'base64',
    statement_timeout: `${statementTimeoutSeconds}s`,
    idle_in_transaction_session_timeout: '300s',
  }),
  statementTimeout: (seconds) => `${seconds}s`,
  columns: typedColumns,
  keyTypes: KEY_TYPES,
  async keyOrder(client) {
    const { rows } = await client.query<{ encoding: string }>("select current_setting('server_encoding') as encoding")
    // The server's own byte order of text is that of UTF-8 only where it stores UTF-8.
    const bytewise = /^(UTF8|SQL_ASCII)$/.test(rows[0]?.encoding ?? '')
    return (sql, part, position) => {
      if (part === 'int64') return { item: sql, orderBy: String(position) }
      return { item: `(${sql}) collate "C"`, orderBy: bytewise ? String(position) : `convert_to(${sql}, 'UTF8')` }
    }
  },
  working: "select 1 from pg_stat_activity where pid = $1 and state = 'active' and wait_event is distinct from 'ClientWrite'",
  rows(client, sql) {
    const copy = client.query(copyTo(`COPY (${sql}) TO STDOUT`, { highWaterMark: 1 << 18 }))
    // The iterator reports errors; without a listener one that comes after its end would end the process.
    copy.on('error', () => {})
    return { chunks: copy[Symbol.asyncIterator](), declared: () => copy.rowCount }
  },
}
