import { destinations, sources } from '../../connectors/registry.ts'
import { Name, SPECS, type Kind } from '../../state/spec.ts'
import { KINDS } from './shape.ts'

type Schema = Record<string, unknown>

const TEXT = { type: 'string', minLength: 1 } as const
const REFERENCE = { type: 'string', pattern: '\\$\\{(env|file):[^}]+\\}' } as const

/**
 * JSON Schema (draft 7, which editors understand) of one YAML document: the shapes of the resources, the configuration of every
 * connector, and what only the CLI resolves (`sqlFile`, `dbt`). A document that passes may still be refused for what a schema
 * cannot say.
 */
export function documentsSchema(): Schema {
  const definitions = Object.fromEntries(KINDS.map((kind) => [kind, definitionOf(kind)]))
  return {
    $schema: 'http://json-schema.org/draft-07/schema#',
    title: 'Tailrace configuration',
    description: 'One YAML document: a Source, Model, Destination, Sync or Notification.',
    type: 'object',
    required: ['kind', 'name'],
    properties: { kind: { enum: [...KINDS] } },
    allOf: KINDS.map((kind) => ({
      if: { properties: { kind: { const: kind } }, required: ['kind'] },
      then: { $ref: `#/definitions/${kind}` },
    })),
    definitions,
  }
}

function definitionOf(kind: Kind): Schema {
  const spec = plain(SPECS[kind])
  const properties = { kind: { const: kind }, name: plain(Name), version: { const: 1 }, ...recordOf(spec['properties']) }
  const required = ['kind', 'name', ...SPECS[kind].required]
  const base = { ...spec, required, properties }
  if (kind === 'Source') return { ...base, ...connectorConfigs(sources) }
  if (kind === 'Destination') return { ...base, ...connectorConfigs(destinations) }
  if (kind === 'Model')
    return {
      ...base,
      properties: { ...properties, ...localForms() },
      oneOf: ['sql', 'sqlFile', 'table', 'dbt'].map((key) => ({ required: [key] })),
    }
  return base
}

function localForms(): Schema {
  return {
    sqlFile: { ...TEXT, description: 'Path of a file with the SQL, relative to this one; read by the CLI.' },
    dbt: {
      type: 'object',
      description: 'A model of a dbt project; the CLI looks up its relation.',
      required: ['manifest', 'model'],
      properties: { manifest: { ...TEXT, description: 'Path of manifest.json, relative to this file.' }, model: TEXT },
      additionalProperties: false,
    },
  }
}

function connectorConfigs(connectors: ReadonlyMap<string, { readonly title: string; readonly config: object }>): Schema {
  return {
    allOf: [
      { properties: { connector: { enum: [...connectors.keys()].sort() } } },
      ...[...connectors]
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([slug, { config }]) => ({
          if: { properties: { connector: { const: slug } }, required: ['connector'] },
          then: { properties: { config: withReferences(plain(config)) } },
        })),
    ],
  }
}

/** A number, boolean or choice may be given as a reference as well. */
function withReferences(schema: Schema): Schema {
  const properties = Object.entries(recordOf(schema['properties'])).map(([name, property]): [string, unknown] => {
    const field = recordOf(property)
    if (field['type'] === 'object') return [name, withReferences(field)]
    if (field['type'] === 'string') return [name, field]
    const { description, default: standard, ...rest } = field
    return [
      name,
      {
        ...(description === undefined ? {} : { description }),
        ...(standard === undefined ? {} : { default: standard }),
        anyOf: [rest, REFERENCE],
      },
    ]
  })
  return 'properties' in schema ? { ...schema, properties: Object.fromEntries(properties) } : schema
}

/** Without what TypeBox keeps beside the JSON Schema proper. */
function plain(schema: object): Schema {
  return recordOf(JSON.parse(JSON.stringify(schema)))
}

function recordOf(value: unknown): Schema {
  return typeof value === 'object' && value !== null ? Object.fromEntries(Object.entries(value)) : {}
}
