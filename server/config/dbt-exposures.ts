interface Exposure {
  readonly name: string
  readonly label: string
  readonly type: 'application'
  readonly description: string
  readonly depends_on: readonly string[]
  readonly owner: { readonly name: string }
}

/**
 * Pure: one exposure of a dbt project for every sync on a dbt model, so that its lineage shows where rows go. `documents` are
 * resources with `kind` and `name`. Properties as dbt's "Exposure properties" has them; those that it asks for, and no `meta`,
 * whose place differs between versions.
 */
export function dbtExposures(documents: readonly Readonly<Record<string, unknown>>[]): Exposure[] {
  const models = new Map(documents.filter(({ kind }) => kind === 'Model').map((model) => [model['name'], model['dbtModel']]))
  return documents.flatMap((sync) => {
    const id = sync['kind'] === 'Sync' ? models.get(sync['model']) : undefined
    if (typeof id !== 'string') return []
    const name = String(sync['name'])
    const object = typeof sync['object'] === 'string' ? `, object ${sync['object']}` : ''
    return [
      {
        // Letters, digits and underscores only.
        name: `tailrace_${name.replaceAll('-', '_')}`,
        label: `Tailrace: ${name}`,
        type: 'application',
        description: `Tailrace sync ${name}: ${String(sync['mode'])} into destination ${String(sync['destination'])}${object}.`,
        depends_on: [reference(id)],
        owner: { name: 'Tailrace' },
      },
    ]
  })
}

/** `ref('package', 'name')`; with a version, `ref('package', 'name', v=2)`. */
function reference(id: string): string {
  const [, project = '', model = '', version] = id.split('.')
  return `ref('${project}', '${model}'${version === undefined ? '' : `, v=${version.replace(/^v/, '')}`})`
}
