import { distance } from 'fastest-levenshtein'

/** The three names that are most like a wanted one, case apart. */
export function nearest(wanted: string, names: Iterable<string>): string[] {
  const text = wanted.toLowerCase()
  return [...new Set(names)].sort((a, b) => distance(text, a.toLowerCase()) - distance(text, b.toLowerCase())).slice(0, 3)
}
