import type { Query } from '../contract.ts'
import { ConnectorError } from '../errors.ts'
import { modelColumns, type ModelColumn } from './columns.ts'
import { modelSql, wrapModel } from './model-sql.ts'
import type { Session } from './session.ts'

export interface PreparedModel {
  readonly sql: string
  readonly columns: readonly ModelColumn[]
}

/**
 * Has the user's statement compiled by itself first: that it is one whole statement is what makes it safe to put it into another one.
 * Then within a SELECT, which refuses everything that is not a query. Nothing is run, no warehouse resumed.
 */
export async function prepareModel(session: Session, query: Query): Promise<PreparedModel> {
  const sql = modelSql(query)
  const columns = await session.describe(sql)
  if (columns.length === 0) throw new ConnectorError('config', 'the model returns no columns; a model is one SELECT')
  try {
    await session.describe(wrapModel(sql, '*'))
  } catch (error) {
    if (!(error instanceof ConnectorError) || error.kind !== 'query') throw error
    throw new ConnectorError(
      'query',
      `the model must be a query, SELECT or WITH … SELECT, with a name for every column: ${error.message}`,
      {
        cause: error,
      },
    )
  }
  return { sql, columns: modelColumns(columns) }
}
