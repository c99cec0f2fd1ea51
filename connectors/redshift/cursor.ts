import type pg from 'pg'
import { joinLine } from '../lines.ts'
import type { RowStream } from '../pgwire/dialect.ts'
import { ConnectorError } from '../errors.ts'

/** The most that a cluster of a single node gives (FETCH). */
const ROWS_A_FETCH = 1000

type Fields = (string | null)[]

const AS_SENT: pg.CustomTypesConfig = { getTypeParser: () => (text: string) => text }

/**
 * Rows by a cursor on the server: Redshift has no COPY to the client, and without a cursor the driver keeps the whole result. The
 * leader node materialises it at the first fetch, up to a size that depends on the node type (DECLARE).
 */
export function cursorRows(client: pg.Client, sql: string): RowStream {
  let declared = 0

  async function* lines(): AsyncGenerator<Buffer> {
    await client.query(`declare tailrace_rows cursor for ${sql}`)
    let next = fetch()
    for (;;) {
      const { rows, rowCount } = await next
      declared += rowCount ?? 0
      if (rows.length !== rowCount)
        throw new ConnectorError('source', `short read: Redshift declared ${rowCount ?? 0} rows, ${rows.length} arrived`)
      if (rows.length === 0) return
      // The next rows are on their way while these are worked on.
      next = fetch()
      yield Buffer.from(rows.map(joinLine).join(''))
    }
  }

  function fetch(): Promise<pg.QueryArrayResult<Fields>> {
    const fetched = client.query<Fields>({ text: `fetch forward ${ROWS_A_FETCH} from tailrace_rows`, rowMode: 'array', types: AS_SENT })
    // Whoever waits for it next gets its error; a reader that left does not.
    fetched.catch(() => undefined)
    return fetched
  }

  return { chunks: lines(), declared: () => declared }
}
