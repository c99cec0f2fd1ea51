const DATE = /^(\d{4})-(\d{2})-(\d{2})$/
const INSTANT = /^(\d{4}-\d{2}-\d{2})[T ](\d{2}):(\d{2})(?::(\d{2})(?:\.(\d{1,9}))?)?(Z|[+-]\d{2}(?::?\d{2})?)?$/
const EPOCH_MS = /^-?\d{1,15}$/

const DAY_MS = 86_400_000

/** Milliseconds of a day's midnight UTC; null unless the text is `YYYY-MM-DD` and the day exists. */
export function dayMs(text: string): number | null {
  const parts = DATE.exec(text)
  if (!parts) return null
  const [year, month, day] = [Number(parts[1]), Number(parts[2]), Number(parts[3])]
  const date = new Date(0)
  date.setUTCFullYear(year, month - 1, day)
  return date.getUTCMonth() === month - 1 && date.getUTCDate() === day ? date.getTime() : null
}

/**
 * Milliseconds of an ISO 8601 date-time, finer digits cut off; null if it is none. Without a zone it is read as UTC, which is how
 * the CRMs read and show date-times without one.
 */
export function instantMs(text: string): number | null {
  const parts = INSTANT.exec(text)
  if (!parts) return dayMs(text)
  const [, day = '', hour = '', minute = '', second = '0', fraction = '', zone = 'Z'] = parts
  const midnight = dayMs(day)
  const [h, m, s] = [Number(hour), Number(minute), Number(second)]
  if (midnight === null || h > 23 || m > 59 || s > 59) return null
  const offset = zoneMs(zone)
  if (offset === null) return null
  return midnight + h * 3_600_000 + m * 60_000 + s * 1_000 + Number(fraction.slice(0, 3).padEnd(3, '0')) - offset
}

/** As `instantMs`, but also takes what an API may answer instead: milliseconds since 1970. */
export function storedInstantMs(text: string): number | null {
  return EPOCH_MS.test(text) ? Number(text) : instantMs(text)
}

/** Day of a stored date property, however an API shows it; null if it is no exact day. */
export function storedDay(text: string): string | null {
  const ms = storedInstantMs(text)
  return ms === null || ms % DAY_MS !== 0 ? null : new Date(ms).toISOString().slice(0, 10)
}

function zoneMs(zone: string): number | null {
  if (zone === 'Z') return 0
  const hours = Number(zone.slice(1, 3))
  const minutes = Number(zone.slice(3).replace(':', '') || '0')
  if (hours > 15 || minutes > 59) return null
  return (zone.startsWith('-') ? -1 : 1) * (hours * 60 + minutes) * 60_000
}
