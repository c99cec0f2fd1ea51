/** Elements of a JSON array as options of a `;` list; null if it holds anything nested, or a text that would fall apart in the list. */
export function optionTexts(json: string): string[] | null {
  let parsed: unknown
  try {
    parsed = JSON.parse(json)
  } catch {
    return null
  }
  if (!Array.isArray(parsed)) return null
  const texts: string[] = []
  for (const part of parsed) {
    if (typeof part !== 'string' && typeof part !== 'number' && typeof part !== 'boolean') return null
    if (String(part).includes(';')) return null
    texts.push(String(part))
  }
  return texts
}
