import { distance } from 'fastest-levenshtein'
import { nearestFirst } from '../../connectors/nearest.ts'

const SHOWN = 5

/** `; did you mean "x"?`, or nothing when no name is near. */
export function didYouMean(name: string, names: Iterable<string>): string {
  const [near] = nearestFirst(name, names)
  if (near === undefined || distance(name.toLowerCase(), near.toLowerCase()) > Math.max(2, Math.floor(name.length / 3))) return ''
  return `; did you mean "${near}"?`
}

/** The names there are, nearest first, cut when they are many. */
export function nearestNames(name: string, names: Iterable<string>): string {
  const sorted = nearestFirst(name, names)
  return sorted.slice(0, SHOWN).join(', ') + (sorted.length > SHOWN ? ', …' : '')
}
