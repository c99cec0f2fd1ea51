/** The vendor's words with the row's values taken out; of values too short to tell from ordinary words only whole words. */
export function withoutValues(words: string, values: readonly string[]): string {
  const texts = [...new Set(values.flatMap((value) => [value, value.trim(), value.toLowerCase()]))]
    .filter((text) => text !== '')
    .sort((a, b) => b.length - a.length)
  return texts.reduce((text, value) => {
    if (value.length > 3) return text.replaceAll(value, '…')
    const escaped = value.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
    return text.replace(new RegExp(`(?<![\\p{L}\\p{N}])${escaped}(?![\\p{L}\\p{N}])`, 'gu'), () => '…')
  }, words)
}
