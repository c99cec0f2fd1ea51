import { Ajv } from 'ajv'
import ajvFormats from 'ajv-formats'
import type { FastifySchemaCompiler, FastifySchemaValidationError } from 'fastify'
import { Problem, type FieldProblem } from './problem.ts'

const shared = { useDefaults: true, removeAdditional: false, allErrors: true, strict: false } as const
/** A body says what it means: "true" is no boolean there. Paths, queries and headers are text. */
const body = ajvFormats.default(new Ajv({ ...shared, coerceTypes: false }))
const text = ajvFormats.default(new Ajv({ ...shared, coerceTypes: true }))

export const compileValidator: FastifySchemaCompiler<object> = ({ schema, httpPart }) => (httpPart === 'body' ? body : text).compile(schema)

/** For routes whose body has a default for everything: none at all means the defaults. */
export async function emptyBody(request: { body?: unknown }): Promise<void> {
  request.body ??= {}
}

const PARTS: Readonly<Record<string, string>> = { body: 'the body', querystring: 'the query', params: 'the path', headers: 'the headers' }

/** 400 `validation`; names every key that is wrong, never a value. */
export function validationProblem(errors: readonly FastifySchemaValidationError[], context: string | undefined): Problem {
  const part = PARTS[context ?? ''] ?? 'the request'
  const found = errors.flatMap((error) => fieldProblem(error, errors) ?? [])
  const detail = `${part} is not as it must be: ${found.map(({ pointer, message }) => `${pointer === '' ? part : pointer} ${message}`).join('; ')}`
  return new Problem({ status: 400, code: 'validation', detail, errors: found })
}

/** Null for the branches of a choice, which the choice itself speaks for. */
function fieldProblem(error: FastifySchemaValidationError, all: readonly FastifySchemaValidationError[]): FieldProblem | null {
  const { instancePath: pointer, keyword, params, message } = error
  if (/\/(anyOf|oneOf)\/\d+\//.test(error.schemaPath)) return null
  switch (keyword) {
    case 'additionalProperties':
      return { pointer: `${pointer}/${escape(params['additionalProperty'])}`, message: 'is not a key that is known here' }
    case 'required':
      return { pointer: `${pointer}/${escape(params['missingProperty'])}`, message: 'is missing' }
    case 'enum':
      return { pointer, message: oneOf(params['allowedValues']) }
    case 'anyOf':
    case 'oneOf': {
      const allowed = all.flatMap((branch) =>
        branch.instancePath === pointer && branch.schemaPath.startsWith(`${error.schemaPath}/`) && branch.keyword === 'const'
          ? [branch.params['allowedValue']]
          : [],
      )
      return { pointer, message: allowed.length > 0 ? oneOf(allowed) : 'has none of the shapes that are possible here' }
    }
    default:
      return { pointer, message: message ?? 'is wrong' }
  }
}

function oneOf(values: unknown): string {
  return `must be one of ${Array.isArray(values) ? values.map(String).join(', ') : String(values)}`
}

function escape(key: unknown): string {
  return String(key).replaceAll('~', '~0').replaceAll('/', '~1')
}
