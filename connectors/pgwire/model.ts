import type { Query } from '../contract.ts'
import { ConnectorError } from '../errors.ts'
import type { ModelColumn } from './columns.ts'
import { classifyFailure } from './errors.ts'
import { modelSql, wrapModel, type ModelSql, type Wrapped } from './model-sql.ts'
import { prepare, type Prepared } from './prepare.ts'
import { circumstances, type Session } from './session.ts'

/** Preparing only takes locks; when it lasts longer, something else holds one. */
export const PREPARE_SECONDS = 60

/** Two backslashes are one where they escape: asked, as Redshift does not tell by a setting. */
const BACKSLASH = "select length('\\\\') = 1 as escapes"

export interface PreparedModel {
  readonly model: ModelSql
  readonly columns: readonly ModelColumn[]
}

/**
 * Parses the user's statement by itself first: that it is one whole statement is what makes it safe to put it into another one. Then
 * within a SELECT, which refuses everything that is not a query. Nothing is run. Needs the transaction of `beginReadOnly`.
 */
export async function prepareModel(session: Session, query: Query): Promise<PreparedModel> {
  const { rows } = await session.client.query<{ escapes: boolean }>(BACKSLASH)
  const model = modelSql(query, { backslashEscapes: rows[0]?.escapes === true })
  const { fields, parameters } = await prepareStatement(session, model, { text: model.text, offset: 0 })
  if (parameters > 0) throw new ConnectorError('config', 'the model holds a parameter ($1); put the value into its SQL')
  if (fields.length === 0) throw new ConnectorError('config', 'the model returns no columns; a model is one SELECT')
  await prepareWrapped(session, model)
  return { model, columns: await session.target.dialect.columns(session.client, fields) }
}

/** A statement that is valid by itself and no valid part of a query is a command. */
async function prepareWrapped(session: Session, model: ModelSql): Promise<void> {
  try {
    await prepareStatement(session, model, wrapModel(model, '*'))
  } catch (error) {
    if (!(error instanceof ConnectorError) || error.code !== '42601') throw error
    throw new ConnectorError('query', 'the model must be a query: SELECT, VALUES, TABLE, or WITH … SELECT', { code: '42601', cause: error })
  }
}

/** Throws what the server says of the statement, with positions in the user's own SQL. */
export async function prepareStatement({ client, target }: Session, model: ModelSql, { text, offset }: Wrapped): Promise<Prepared> {
  try {
    return await prepare(client, text)
  } catch (error) {
    const written = model.written ? { sql: model.text, offset } : undefined
    throw classifyFailure(error, circumstances(target, 'prepare', written))
  }
}
