import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { from as copyFrom } from 'pg-copy-streams'
import type { CopyChange, CopyIdentity, DifferenceReading, ReadRequest, WarehouseComparison } from '../source-contract.ts'
import { ConnectorError } from '../errors.ts'
import { KeyCodec } from '../keys.ts'
import { joinLine } from '../lines.ts'
import { copySuffix, identityText, takeHashes } from '../planner-copy.ts'
import type { Target } from '../pgwire/config.ts'
import { PREPARE_SECONDS } from '../pgwire/model.ts'
import { openModel, ready, StreamReading } from '../pgwire/read.ts'
import { destroy, guarded, openSession, withSession, type Session } from '../pgwire/session.ts'
import { applyWork, createCopies, createCopy, createWork, differences, plannerNames, type PlannerNames, type WORK } from './planner-sql.ts'

/** Bump when what the copy holds, or how it is hashed, changes. */
const COPY_VERSION = 1

export const GRANTS = (schema: string): string =>
  `create the schema "${schema}" and let our user have usage and create on it: grant usage, create on schema "${schema}" to …`

/** Opens a session and looks at the model; the copy is `standing`'s business. */
export async function compareInPostgres(
  target: Target,
  { schema, silenceMs }: { schema: string; silenceMs: number },
  request: ReadRequest,
  sync: string,
): Promise<WarehouseComparison> {
  const { signal } = request
  const session = await openSession(target, signal)
  // Between two calls nobody else watches the signal.
  const drop = (): void => destroy(session)
  signal.addEventListener('abort', drop)
  const { keyParts, server } = await guarded(session, signal, PREPARE_SECONDS + 30, async () => {
    const { selection } = await openModel(session, request)
    await session.client.query('rollback')
    return { keyParts: selection.keyParts, server: await serverOf(session) }
  })
  const keyCodec = new KeyCodec(keyParts)
  const names = plannerNames(schema, copySuffix(sync))
  const identityOf = (identity: CopyIdentity): string => identityText(`${COPY_VERSION}/${server.major}`, identity, keyCodec)
  const within = <T>(work: () => Promise<T>): Promise<T> =>
    guarded(session, signal, target.statementTimeoutSeconds + 30, () => explained(schema, work))

  return {
    keyCodec,
    standing: (identity) => within(() => standing(session, names, { sync, identity: identityOf(identity) })),
    advance: (change) => within(() => advance(session, names, { sync, identity: identityOf(change.identity), keyCodec, change })),
    async read(): Promise<DifferenceReading> {
      const { copied, ...opened } = await within(async () => {
        const { model, ...opened } = await openModel(session, request)
        const { rows } = await session.client.query<{ size: string; sum: string }>(
          `select count(*)::text as size, coalesce(sum(f), 0)::text as sum from ${names.copy}`,
        )
        const copied = { size: Number(rows[0]?.size ?? 0), sum: BigInt(rows[0]?.sum ?? 0) }
        return { ...opened, copied, sql: await ready(session, model, differences(names, model, opened.selection)) }
      })
      signal.removeEventListener('abort', drop)
      return Object.assign(new StreamReading({ session, signal, silenceMs, ...opened, refine: takeHashes }), { copied: () => copied })
    },
    forget: () =>
      withSession(target, signal, 60, ({ client }) => client.query(`delete from ${names.copies} where sync = $1`, [sync])).then(
        () => undefined,
      ),
  }
}

async function serverOf({ client, target }: Session): Promise<{ major: number }> {
  const { rows } = await client.query<{ version: string; encoding: string }>(
    "select current_setting('server_version_num') as version, current_setting('server_encoding') as encoding",
  )
  const major = Math.floor(Number(rows[0]?.version ?? 0) / 10_000)
  const wrong = plannerObstacle({ major, encoding: rows[0]?.encoding ?? '' })
  if (wrong !== null) throw new ConnectorError('config', `PostgreSQL at ${target.address}: ${wrong}`)
  return { major }
}

/** Why a server cannot compare inside; null: it can. Record hashes came with 14; keys are compared as UTF-8. */
export function plannerObstacle({ major, encoding }: { major: number; encoding: string }): string | null {
  if (major < 14) return `plannerSchema needs version 14 or newer, this is ${major}; leave it out of the configuration`
  if (encoding !== 'UTF8')
    return `plannerSchema needs a database that stores UTF8, this one stores ${encoding}; leave it out of the configuration`
  return null
}

/** The server's refusals concern our tables here, not the model. */
async function explained<T>(schema: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : null
    if (error instanceof ConnectorError || (code !== '42501' && code !== '3F000' && code !== '25006')) throw error
    const what =
      code === '3F000' ? 'is not there' : code === '25006' ? 'cannot be written, the server is a replica' : 'may not be written by our user'
    throw new ConnectorError(
      'config',
      `plannerSchema "${schema}" ${what} (SQLSTATE ${code}): ${GRANTS(schema)}; or leave plannerSchema out`,
      {
        code,
        cause: error,
      },
    )
  }
}

interface Copy {
  readonly sync: string
  readonly identity: string
}

async function standing({ client }: Session, names: PlannerNames, { sync, identity }: Copy): Promise<number | null> {
  const asked = 'select to_regclass($1) is not null and to_regclass($2) is not null as made'
  const made = await client.query<{ made: boolean }>(asked, [names.copies, names.copy])
  if (made.rows[0]?.made !== true) return null
  const { rows } = await client.query<{ seq: string }>(`select seq from ${names.copies} where sync = $1 and identity = $2`, [
    sync,
    identity,
  ])
  const seq = rows[0]?.seq
  return seq === undefined ? null : Number(seq)
}

async function advance(
  session: Session,
  names: PlannerNames,
  { sync, identity, keyCodec, change }: Copy & { keyCodec: KeyCodec; change: CopyChange },
): Promise<void> {
  const { client, target } = session
  await client.query(`begin; set local statement_timeout to '${target.statementTimeoutSeconds}s'; ${createCopies(names)}`)
  // The row is the lock: whoever comes second sees where the first one left the copy.
  await client.query(`insert into ${names.copies} values ($1, '', 0) on conflict do nothing`, [sync])
  await client.query(`select 1 from ${names.copies} where sync = $1 for update`, [sync])
  if ((await standing(session, names, { sync, identity })) !== change.from)
    throw new ConnectorError('source', `the copy of ${sync} in the planner’s schema was moved by another attempt meanwhile`)
  const { parts } = keyCodec
  if (change.from === null) await client.query(createCopy(names, parts))
  await client.query(createWork(parts))
  const key = (bytes: Buffer): string[] => keyCodec.decode(bytes)
  await upload(session, 'acknowledged', change.acknowledged, (entry) => [...key(entry.key), entry.version?.toString() ?? null])
  await upload(session, 'hashes', change.hashes, (entry) => [...key(entry.key), entry.version.toString(), entry.hash])
  await upload(session, 'watched', change.watched, key)
  for (const statement of applyWork(names, parts)) await client.query(statement)
  if (change.from === null) await client.query(`analyze ${names.copy}`)
  await client.query(`update ${names.copies} set identity = $2, seq = $3 where sync = $1`, [sync, identity, change.to])
  await client.query('commit')
}

async function upload<T>(
  { client }: Session,
  table: (typeof WORK)[number],
  pages: AsyncIterable<readonly T[]>,
  fields: (entry: T) => (string | null)[],
): Promise<void> {
  async function* lines(): AsyncGenerator<string> {
    for await (const page of pages) if (page.length > 0) yield page.map((entry) => joinLine(fields(entry))).join('')
  }
  await pipeline(Readable.from(lines()), client.query(copyFrom(`copy ${table} from stdin`)))
}
