import { BlockBuilder } from '../blocks.ts'
import type { CanonicalText } from '../contract.ts'
import type { Reading, ReadRequest, RowBlock } from '../source-contract.ts'
import { ConnectorError } from '../errors.ts'
import { KeyCodec } from '../keys.ts'
import { splitLine } from '../lines.ts'
import type { Target } from './config.ts'
import { classifyFailure } from './errors.ts'
import { PREPARE_SECONDS, prepareModel, prepareStatement } from './model.ts'
import { wrapModel, type ModelSql, type Wrapped } from './model-sql.ts'
import { selectColumns, type Selection } from './selection.ts'
import { beginReadOnly, cancelBackend, cancelled, circumstances, close, destroy, guarded, openSession, type Session } from './session.ts'
import { isWorking, SilenceWatch } from './silence.ts'

/** Everything up to the first row: connects, opens the snapshot, checks the model and what is asked of it. */
export async function openReading(target: Target, request: ReadRequest, silenceMs: number): Promise<Reading> {
  const { signal } = request
  const session = await openSession(target, signal)
  const opened = await guarded(session, signal, PREPARE_SECONDS + 30, async () => {
    const { model, ...opened } = await openModel(session, request)
    const { items, orderBy } = opened.selection
    const statement = wrapModel(model, items.map(({ sql }) => sql).join(', '), orderBy)
    return { ...opened, sql: await ready(session, model, statement) }
  })
  return new StreamReading({ session, signal, silenceMs, ...opened })
}

export interface OpenedModel {
  /** The backend's process id. */
  readonly pid: number
  readonly model: ModelSql
  readonly selection: Selection
}

/** Begins the read-only snapshot of a session and looks at the model in it. */
export async function openModel(session: Session, request: ReadRequest): Promise<OpenedModel> {
  const { dialect } = session.target
  await beginReadOnly(session, PREPARE_SECONDS)
  const { rows } = await session.client.query<{ pid: number }>('select pg_backend_pid() as pid')
  const keyOrder = await dialect.keyOrder(session.client)
  const { model, columns } = await prepareModel(session, request.query)
  return {
    pid: rows[0]?.pid ?? 0,
    model,
    selection: selectColumns(columns, { key: request.key, used: request.columns, dialect, keyOrder }),
  }
}

/** Has the server parse the statement that is to run next, and gives it its time. */
export async function ready(session: Session, model: ModelSql, statement: Wrapped): Promise<string> {
  const { dialect, statementTimeoutSeconds } = session.target
  await prepareStatement(session, model, statement)
  await session.client.query(`set local statement_timeout to '${dialect.statementTimeout(statementTimeoutSeconds)}'`)
  return statement.text
}

interface ReadingInput {
  readonly session: Session
  readonly signal: AbortSignal
  readonly silenceMs: number
  readonly pid: number
  readonly selection: Selection
  readonly sql: string
  /** What else the lines hold is taken off each block. */
  readonly refine?: (block: RowBlock) => RowBlock
}

export class StreamReading implements Reading {
  readonly keyCodec: KeyCodec
  readonly #session: Session
  readonly #signal: AbortSignal
  readonly #silenceMs: number
  readonly #pid: number
  readonly #selection: Selection
  readonly #sql: string
  readonly #refine: (block: RowBlock) => RowBlock
  #started = false
  #lost: ConnectorError | null = null
  #stopped: Promise<void> | null = null
  readonly #abort = (): void => void this.#stop()

  constructor(input: ReadingInput) {
    this.#session = input.session
    this.#signal = input.signal
    this.#silenceMs = input.silenceMs
    this.#pid = input.pid
    this.#selection = input.selection
    this.#sql = input.sql
    this.#refine = input.refine ?? ((block) => block)
    this.keyCodec = new KeyCodec(input.selection.keyParts)
    this.#signal.addEventListener('abort', this.#abort)
    if (this.#signal.aborted) this.#abort()
  }

  async *blocks(): AsyncGenerator<RowBlock> {
    if (this.#started) throw new ConnectorError('source', 'a read can be gone through once only')
    this.#started = true
    const { client, target } = this.#session
    let end: 'complete' | 'failed' | 'abandoned' = 'abandoned'
    const watch = new SilenceWatch({ silenceMs: this.#silenceMs, working: () => isWorking(target, this.#pid), stop: () => this.#lose() })
    const stream = target.dialect.rows(client, this.#sql)
    try {
      const builder = new BlockBuilder(this.#selection.keyParts)
      let seen = 0
      for (;;) {
        watch.waiting()
        const step = await stream.chunks.next()
        watch.arrived()
        if (step.done === true) break
        const block = builder.push(step.value)
        if (block === null) continue
        seen += block.length
        yield this.#refine(block)
      }
      const rest = builder.rest()
      if (rest !== null) {
        seen += rest.length
        yield this.#refine(rest)
      }
      watch.waiting()
      // A COPY's row count comes after the last row: when COMMIT is answered, it is there.
      await client.query('commit')
      if (builder.unfinished || stream.declared() !== seen) {
        throw new ConnectorError('source', `short read: ${target.dialect.title} declared ${stream.declared()} rows, ${seen} arrived`)
      }
      end = 'complete'
    } catch (error) {
      end = 'failed'
      if (this.#signal.aborted) throw cancelled(this.#signal)
      throw this.#lost ?? classifyFailure(error, circumstances(target, 'run'))
    } finally {
      watch.end()
      this.#signal.removeEventListener('abort', this.#abort)
      if (end === 'complete') await close(this.#session)
      else if (end === 'abandoned' || this.#stopped !== null) await this.#stop()
      else destroy(this.#session)
    }
  }

  decode(row: Buffer): CanonicalText[] {
    const fields = splitLine(textOf(row))
    return this.#selection.places.map(({ index, convert }) => {
      const text = fields[index] ?? null
      return text === null || convert === null ? text : convert(text)
    })
  }

  decodeKey(row: Buffer): CanonicalText[] {
    return splitLine(textOf(row)).slice(0, this.#selection.keyParts.length)
  }

  #lose(): void {
    const { target } = this.#session
    const message = `${target.dialect.title} at ${target.address}: the connection was lost; nothing came for ${this.#silenceMs / 1000} seconds and the server does not work on the query`
    this.#lost = new ConnectorError('source', message)
    void this.#stop()
  }

  /** Ends backend and connection, in this order: while our connection stands, the process id is surely ours. Never rejects. */
  #stop(): Promise<void> {
    this.#stopped ??= cancelBackend(this.#session.target, this.#pid).finally(() => destroy(this.#session))
    return this.#stopped
  }
}

/** Without its line break. PostgreSQL hands out nothing that is not UTF-8, whatever a database stores. */
function textOf(row: Buffer): string {
  return row.toString('utf8', 0, row.length - 1)
}
