import { BlockBuilder } from '../blocks.ts'
import type { CanonicalText } from '../contract.ts'
import type { Reading, ReadRequest, RowBlock } from '../source-contract.ts'
import { ConnectorError } from '../errors.ts'
import { KeyCodec } from '../keys.ts'
import { splitLine } from '../lines.ts'
import { resultOf, startQuery } from './background-query.ts'
import type { Target } from './config.ts'
import { prepareModel, type PreparedModel } from './model.ts'
import { wrapModel } from './model-sql.ts'
import { RowTexts } from './row-texts.ts'
import { selectColumns, type Selection } from './selection.ts'
import { assertNotAborted, Session } from './session.ts'

/** Everything up to the query itself: logs in, has the model compiled, checks what is asked of it. */
export async function openReading(target: Target, request: ReadRequest, silenceMs: number): Promise<Reading> {
  return withModel(target, request, async ({ session, model, selection }) => {
    const sql = wrapModel(model.sql, `${selection.line} AS LINE`, ` ORDER BY ${selection.order.join(', ')}`)
    await session.describe(sql)
    return new QueryReading({ session, request, silenceMs, selection, sql })
  })
}

export interface OpenedModel {
  readonly session: Session
  readonly model: PreparedModel
  readonly selection: Selection
}

/** Opens a session and looks at the model in it. `then` takes the session over, unless it throws. */
export async function withModel<T>(target: Target, request: ReadRequest, then: (opened: OpenedModel) => Promise<T>): Promise<T> {
  const tag = JSON.stringify({ app: 'tailrace', ...request.label, step: 'prepare' })
  const session = await Session.open(target, request.signal, { tag, outlives: request.handle !== undefined })
  try {
    const model = await prepareModel(session, request.query)
    return await then({ session, model, selection: selectColumns(model.columns, { key: request.key, used: request.columns }) })
  } catch (error) {
    await session.close()
    throw error
  }
}

interface Opened {
  readonly session: Session
  readonly request: ReadRequest
  readonly silenceMs: number
  readonly selection: Selection
  readonly sql: string
  /** What else the lines hold is taken off each block; null: nothing is left of it. */
  readonly refine?: (block: RowBlock) => RowBlock | null
}

export class QueryReading implements Reading {
  readonly keyCodec: KeyCodec
  readonly #opened: Opened
  #started = false
  readonly #abort = (): void => void this.#opened.session.close()

  constructor(opened: Opened) {
    this.#opened = opened
    this.keyCodec = new KeyCodec(opened.selection.keyParts)
    const { signal } = opened.request
    signal.addEventListener('abort', this.#abort)
    if (signal.aborted) this.#abort()
  }

  async *blocks(): AsyncGenerator<RowBlock> {
    const { session, request, silenceMs, selection, sql, refine = asItIs } = this.#opened
    const { signal, label = {}, handle = null } = request
    if (this.#started) throw new ConnectorError('source', 'a read can be gone through once only')
    this.#started = true
    // From here on the query has to be ended before the session is.
    signal.removeEventListener('abort', this.#abort)
    let queryId: string | null = null
    let rows: RowTexts | null = null
    try {
      assertNotAborted(signal)
      queryId = await startQuery(session, sql, { label, handle })
      const statement = await resultOf(session, queryId, { signal, handle })
      rows = new RowTexts(statement.streamRows(), { signal, silenceMs, target: session.target })
      const builder = new BlockBuilder(selection.keyParts)
      for await (const piece of rows.pieces()) {
        const block = refined(builder.push(piece), refine)
        if (block !== null) yield block
        assertNotAborted(signal)
      }
      const rest = refined(builder.rest(), refine)
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
    await this.#opened.request.handle?.keep(null)
    throw new ConnectorError('source', `short read: Snowflake declared ${declared} rows, ${seen} arrived`)
  }
}

const asItIs = (block: RowBlock): RowBlock => block

function refined(block: RowBlock | null, refine: (block: RowBlock) => RowBlock | null): RowBlock | null {
  return block === null ? null : refine(block)
}

/** Without its line break. */
function textOf(row: Buffer): string {
  return row.toString('utf8', 0, row.length - 1)
}
