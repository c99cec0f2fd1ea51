import { missingKeyTests, type DbtModel } from '../config/dbt.ts'
import type { SourceDocument } from '../config/documents.ts'

/** A Model document that names a dbt model, and what the project says of it. */
interface UsedDbtModel extends DbtModel {
  /** The Model's name. */
  readonly model: string
  readonly primaryKey: readonly string[]
  /** Tests of the primary key that the project lacks. */
  readonly missingTests: readonly string[]
}

export function dbtModelsOf(documents: readonly SourceDocument[]): UsedDbtModel[] {
  return documents.flatMap(({ dbt, value }) => {
    if (dbt === null || typeof value !== 'object' || value === null || !('name' in value) || !('primaryKey' in value)) return []
    const primaryKey = [value.primaryKey].flat().map(String)
    return [{ ...dbt, model: String(value.name), primaryKey, missingTests: missingKeyTests(dbt, primaryKey) }]
  })
}

/** Model, relation, tests of the primary key, and the columns that the project describes. */
export function dbtText({ model, id, relation, primaryKey, missingTests, columns }: UsedDbtModel): string {
  const key = primaryKey.join(', ')
  const tests = missingTests.length === 0 ? 'tested unique and not_null' : `no dbt test ${missingTests.join(', ')}`
  const width = Math.max(0, ...columns.map(({ name }) => name.length))
  const lines = columns.map(({ name, type, description }) =>
    `  ${name.padEnd(width)}  ${[type, description.replace(/\s+/g, ' ').trim()].filter((text) => text !== null && text !== '').join(' · ')}`.trimEnd(),
  )
  return [`Model ${model}: dbt ${id}, relation ${relation}`, `  primary key ${key}: ${tests}`, ...lines, ''].join('\n')
}
