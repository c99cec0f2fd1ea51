import { BlockBuilder } from '../blocks.ts'
import type { CanonicalText, QueryHandle, Reading, ReadRequest, RowBlock } from '../contract.ts'
import { ConnectorError } from '../errors.ts'
import { KeyCodec } from '../keys.ts'
import { splitLine } from '../lines.ts'
import { resultOf, startQuery } from './background-query.ts'
import type { Target } from './config.ts'
import { prepareModel } from './model.ts'
import { wrapModel } from './model-sql.ts'
import { RowTexts } from './row-texts.ts'
import { selectColumns, type Selection } from './selection.ts'
import { assertNotAborted, Session } from './session.ts'

/** Everything up to the query itself: logs in, has the model compiled, checks what is asked of it. */
export async function openReading(target: Target, request: ReadRequest, silenceMs: number): Promise<Reading> {
  const label = request.label ?? {}
  const tag = JSON.stringify({ app: 'tailrace', ...label, step: 'prepare' })
  const session = await Session.open(target, request.signal, { tag, outlives: request.handle !== undefined })
  try {
    const model = await prepareModel(session, request.query)
    const selection = selectColumns(model.columns, { key: request.key, used: request.columns })
    const sql = wrapModel(model.sql, `${selection.line} AS LINE`, selection.orderBy)
    await session.describe(sql)
    return new QueryReading({ session, signal: request.signal, label, handle: request.handle ?? null, silenceMs, selection, sql })
  } catch (error) {
    await session.close()
    throw error
  }
}

interface Opened {
  readonly session: Session
  readonly signal: AbortSignal
  readonly label: Readonly<Record<string, string>>
  readonly handle: QueryHandle | null
  readonly silenceMs: number
  readonly selection: Selection
  readonly sql: string
}

class QueryReading implements Reading {
  readonly keyCodec: KeyCodec
  readonly #opened: Opened
  #started = false
  readonly #abort = (): void => void this.#opened.session.close()

  constructor(opened: Opened) {
    this.#opened = opened
    this.keyCodec = new KeyCodec(opened.selection.keyParts)
    opened.signal.addEventListener('abort', this.#abort)
    if (opened.signal.aborted) this.#abort()
  }

  async *blocks(): AsyncGenerator<RowBlock> {
    const { session, signal, handle, silenceMs, selection } = this.#opened
    if (this.#started) throw new ConnectorError('source', 'a read can be gone through once only')
    this.#started = true
    // From here on the query has to be ended before the session is.
    signal.removeEventListener('abort', this.#abort)
    let queryId: string | null = null
    let rows: RowTexts | null = null
    try {
      assertNotAborted(signal)
      queryId = await startQuery(session, this.#opened.sql, this.#opened)
      const statement = await resultOf(session, queryId, { signal, handle })
      rows = new RowTexts(statement.streamRows(), { signal, silenceMs, target: session.target })
      const builder = new BlockBuilder(selection.keyParts)
      for await (const piece of rows.pieces()) {
        const block = builder.push(piece)
        if (block !== null) yield block
        assertNotAborted(signal)
      }
      const rest = builder.rest()
      if (rest !== null) yield rest
      await this.#assertWhole(statement.getNumRows(), rows.counted)
    } catch (error) {
      assertNotAborted(signal)
      throw error
    } finally {
      rows?.stop()
      // A query whose rows are being read has ended long since.
      if (queryId !== null && rows === null && handle?.leave() !== true) await session.cancel(queryId)
      await session.close()
    }
  }

  decode(row: Buffer): CanonicalText[] {
    const fields = splitLine(textOf(row))
    return this.#opened.selection.places.map(({ index, float }) => {
      const text = fields[index] ?? null
      return float && text !== null ? String(Number(text)) : text
    })
  }

  decodeKey(row: Buffer): CanonicalText[] {
    return splitLine(textOf(row)).slice(0, this.#opened.selection.keyParts.length)
  }

  /** The driver does not count: a chunk with fewer rows than declared passes it by. A result that lacks rows is not read again. */
  async #assertWhole(declared: number, seen: number): Promise<void> {
    if (declared === seen) return
    await this.#opened.handle?.keep(null)
    throw new ConnectorError('source', `short read: Snowflake declared ${declared} rows, ${seen} arrived`)
  }
}

/** Without its line break. */
function textOf(row: Buffer): string {
  return row.toString('utf8', 0, row.length - 1)
}
