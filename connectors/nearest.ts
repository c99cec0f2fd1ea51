import { distance } from 'fastest-levenshtein'

/** The names, those that are most like the wanted one first, case apart; equally near ones by the alphabet. */
export function nearestFirst(wanted: string, names: Iterable<string>): string[] {
  const text = wanted.toLowerCase()
  return [...new Set(names)].sort((a, b) => distance(text, a.toLowerCase()) - distance(text, b.toLowerCase()) || (a < b ? -1 : 1))
}

/** The three names that are most like a wanted one. */
export function nearest(wanted: string, names: Iterable<string>): string[] {
  return nearestFirst(wanted, names).slice(0, 3)
}
