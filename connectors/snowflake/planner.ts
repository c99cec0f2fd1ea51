import type { CopyChange, CopyIdentity, DifferenceReading, ReadRequest, RowBlock, WarehouseComparison } from '../source-contract.ts'
import { ConnectorError } from '../errors.ts'
import { KeyCodec } from '../keys.ts'
import { copySuffix, identityText } from '../planner-copy.ts'
import { runInBackground } from './background-query.ts'
import type { Target } from './config.ts'
import { explained, MISSING } from './planner-grants.ts'
import {
  advanceCopy,
  createCopy,
  createWork,
  differences,
  dropTable,
  insertWork,
  plannerNames,
  standingOf,
  type EntryKind,
  type PlannerNames,
} from './planner-sql.ts'
import { Totals } from './planner-totals.ts'
import { QueryReading, withModel } from './read.ts'
import { RowTexts } from './row-texts.ts'
import { withSession, type Session } from './session.ts'

/** Bump when what the copy holds, or how it is hashed, changes. */
const COPY_VERSION = '1'

/** Values bound in one statement: above 65,280 the driver would go by files on a stage. */
const BOUND_VALUES = 60_000

/**
 * Opens a session and looks at the model; the copy is `standing`'s business.
 *
 * Nothing locks the copy, as a lock would outlive a worker that is killed. Two attempts at once each replace it by a whole one; what
 * is compared says of which marks it speaks, so a plan that another attempt's copy got in the way of is not published.
 */
export function compareInSnowflake(
  target: Target,
  { schema, silenceMs }: { schema: string; silenceMs: number },
  request: ReadRequest,
  sync: string,
): Promise<WarehouseComparison> {
  return withModel(target, request, ({ session, model, selection }) => {
    const { signal } = request
    // Between two calls nobody else watches the signal.
    const drop = (): void => void session.close()
    signal.addEventListener('abort', drop)
    const keyCodec = new KeyCodec(selection.keyParts)
    const names = plannerNames(schema, copySuffix(sync))
    const identityOf = (identity: CopyIdentity): string => identityText(COPY_VERSION, identity, keyCodec)
    const tag = JSON.stringify({ app: 'tailrace', ...request.label, step: 'copy' })
    const work = { session, names, tag, signal, silenceMs, keyCodec }
    const within = <T>(task: () => Promise<T>): Promise<T> => explained(schema, target, task)
    return Promise.resolve({
      keyCodec,
      standing: (identity) => within(() => standing(work, identityOf(identity))),
      advance: (change) => within(() => advance(work, { identity: identityOf(change.identity), change })),
      read: () =>
        within(async (): Promise<DifferenceReading> => {
          const sql = differences(names, model.sql, selection)
          await session.describe(sql)
          signal.removeEventListener('abort', drop)
          const totals = new Totals()
          const refine = (block: RowBlock): RowBlock | null => totals.takeOff(block)
          return Object.assign(new QueryReading({ session, request, silenceMs, selection, sql, refine }), { copied: () => totals.copied })
        }),
      async forget() {
        // What was read of it as well: another attempt would go on with that query.
        await request.handle?.keep(null)
        await within(() => forget(target, names, signal, tag))
      },
    } satisfies WarehouseComparison)
  })
}

interface Work {
  readonly session: Session
  readonly names: PlannerNames
  readonly tag: string
  readonly signal: AbortSignal
  readonly silenceMs: number
  readonly keyCodec: KeyCodec
}

async function standing({ session, names, tag, signal, silenceMs }: Work, identity: string): Promise<number | null> {
  const lines = await linesOf(session, standingOf(names), { tag, signal, silenceMs }).catch((error: unknown) => {
    if (error instanceof ConnectorError && MISSING.has(error.code ?? '')) return []
    throw error
  })
  const [found, seq] = lines[0]?.split(' ') ?? []
  return found === identity && seq !== undefined ? Number(seq) : null
}

/** The one text of each row of a short query. */
async function linesOf(
  session: Session,
  sql: string,
  { tag, signal, silenceMs }: Pick<Work, 'tag' | 'signal' | 'silenceMs'>,
): Promise<string[]> {
  const statement = await runInBackground(session, sql, { tag, signal })
  const pieces: string[] = []
  for await (const piece of new RowTexts(statement.streamRows(), { signal, silenceMs, target: session.target }).pieces())
    pieces.push(piece.toString())
  return pieces.join('').split('\n')
}

/** Where nothing has changed, nothing is asked of the warehouse. */
async function advance(work: Work, { identity, change }: { identity: string; change: CopyChange }): Promise<void> {
  const { session, names, tag, signal } = work
  const { parts } = work.keyCodec
  if (change.from === null) await session.command(createCopy(names, parts), { tag })
  const uploaded = await upload(work, change)
  if (uploaded === 0 && change.from === change.to) return
  if (uploaded === 0) await session.command(createWork(names, parts), { tag })
  await runInBackground(session, advanceCopy(names, parts, { identity, seq: change.to }), { tag, signal })
  await session.command(dropTable(names.work), { tag })
}

/** Gives how many entries there were; without any there is no table. */
async function upload({ session, names, tag, keyCodec }: Work, change: CopyChange): Promise<number> {
  const sql = insertWork(names, keyCodec.parts)
  const rowsAtOnce = Math.floor(BOUND_VALUES / (keyCodec.parts.length + 3))
  let rows: (string | null)[][] = []
  let uploaded = 0
  const send = async (): Promise<void> => {
    if (rows.length === 0) return
    if (uploaded === 0) await session.command(createWork(names, keyCodec.parts), { tag })
    await session.command(sql, { tag, rows })
    uploaded += rows.length
    rows = []
  }
  for await (const row of entries(change, keyCodec)) if (rows.push(row) === rowsAtOnce) await send()
  await send()
  return uploaded
}

async function* entries({ acknowledged, hashes, watched }: CopyChange, keyCodec: KeyCodec): AsyncGenerator<(string | null)[]> {
  const entry = (kind: EntryKind, key: Buffer, version: bigint | null, hash: string | null): (string | null)[] => [
    kind,
    ...keyCodec.decode(key),
    version?.toString() ?? null,
    hash,
  ]
  for await (const page of acknowledged) for (const { key, version } of page) yield entry('A', key, version, null)
  for await (const page of hashes) for (const { key, version, hash } of page) yield entry('H', key, version, hash)
  for await (const page of watched) for (const key of page) yield entry('W', key, null, null)
}

/** The session that read is closed by now. */
function forget(target: Target, names: PlannerNames, signal: AbortSignal, tag: string): Promise<void> {
  return withSession(target, signal, { tag, outlives: false }, (session) => session.command(dropTable(names.copy), { tag }))
}
