import { redshift } from '../../connectors/redshift/index.ts'
import { databaseFixture, type PostgresFixture } from './postgres-fixture.ts'
import { redshiftProxy } from './redshift-wire.ts'

/** Defaults that would show if a read did not pin its settings; strings as PostgreSQL 8.0 reads them. */
const HOSTILE = ["timezone = 'Asia/Tokyo'", "datestyle = 'German'", 'extra_float_digits = -5', 'standard_conforming_strings = off']

/** A database behind a proxy that makes it look like Redshift. */
export async function redshiftFixture(): Promise<PostgresFixture> {
  const fixture = await databaseFixture({
    open: (url) => redshift.open({ url }),
    hostile: HOSTILE,
    collation: 'C',
    via: (url) => redshiftProxy(url),
    keyTypes: {
      integer: ['10', '9', '-1', '-10', '0', '9223372036854775807', '-9223372036854775808', '1000000000000000'],
      decimal: ['10', '9', '-1', '1.5', '0', '0.25', '100'],
      text: ['b', 'a', 'B', 'ä', 'z', '', '\t', '\n', '\\', '\\N', 'a\tb', 'a\nb', 'ab', 'a ', '𝄞', 'ｚ', '\u0001'],
      boolean: ['true', 'false'],
      date: ['2026-01-31', '1999-12-31'],
      timestamp: ['2026-01-31T23:59:59.123456', '2026-01-31T23:59:59', '2026-01-31T23:59:59.5'],
      timestamptz: ['2026-01-31T23:59:59.123456Z', '2026-01-31T23:59:59Z', '2026-01-31T23:59:59.5Z'],
    },
  })
  // Redshift's system table of running queries.
  await fixture.pool.query("create view stv_inflight as select pid from pg_stat_activity where state = 'active'")
  return fixture
}
