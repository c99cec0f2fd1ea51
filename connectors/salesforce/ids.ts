const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ012345'

/**
 * The 18 characters of a record id: 15 that differ by case and a checksum of that case, so that ids also differ without it. Null
 * for what is neither 15 nor 18 characters, or whose checksum is wrong.
 */
export function canonicalId(text: string): string | null {
  if (!/^[A-Za-z0-9]{15}(?:[A-Za-z0-9]{3})?$/.test(text)) return null
  const core = text.slice(0, 15)
  const full = core + checksum(core)
  if (text.length === 15) return full
  return full.slice(15) === text.slice(15).toUpperCase() ? full : null
}

/** One character for each five: which of them are upper case, least significant first. */
function checksum(core: string): string {
  return [0, 5, 10]
    .map((from) => {
      let bits = 0
      for (let i = 0; i < 5; i++) if (/[A-Z]/.test(core[from + i] ?? '')) bits |= 1 << i
      return ALPHABET[bits] ?? ''
    })
    .join('')
}
