import { ConnectorError } from './errors.ts'
import { nearest } from './nearest.ts'

/** Pure. Throws `config` with the nearest name and all names there are; so it does for a name that two columns have. */
export function findColumn<T extends { readonly name: string }>(columns: readonly T[], name: string): T {
  const [found, twin] = columns.filter((column) => column.name === name)
  if (twin !== undefined) throw new ConnectorError('config', `the model has more than one column "${name}"; give them different names`)
  if (found !== undefined) return found
  const names = columns.map((column) => column.name)
  const [closest = ''] = nearest(name, names)
  throw new ConnectorError('config', `the model has no column "${name}"; the nearest is "${closest}". Its columns: ${names.join(', ')}`)
}
