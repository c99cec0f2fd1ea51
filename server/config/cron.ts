interface Field {
  readonly name: string
  readonly min: number
  readonly max: number
  readonly names?: readonly string[]
}

const MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec']
const DAYS = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat']

const FIELDS: readonly Field[] = [
  { name: 'minute', min: 0, max: 59 },
  { name: 'hour', min: 0, max: 23 },
  { name: 'day of month', min: 1, max: 31 },
  { name: 'month', min: 1, max: 12, names: MONTHS },
  { name: 'day of week', min: 0, max: 7, names: DAYS },
]

const SHORTHANDS = ['@hourly', '@daily', '@midnight', '@weekly', '@monthly', '@yearly', '@annually']

/** What is wrong with a cron line of five fields, or null. What passes is understood by Temporal's schedules. Pure. */
export function cronProblem(text: string): string | null {
  const line = text.trim()
  if (line.startsWith('@')) return SHORTHANDS.includes(line) ? null : `unknown shorthand; there are ${SHORTHANDS.join(', ')}`
  const parts = line.split(/\s+/)
  if (parts.length !== FIELDS.length) {
    return `must have five fields (minute, hour, day of month, month, day of week), but has ${line === '' ? 0 : parts.length}`
  }
  for (const [index, field] of FIELDS.entries()) {
    const part = parts[index] ?? ''
    if (!part.split(',').every((item) => isItem(item, field))) {
      return `"${part}" is no ${field.name}: ${field.min} to ${field.max}${field.names ? ` or ${field.names.slice(0, 2).join(', ')}, …` : ''}, with * , - and /`
    }
  }
  return null
}

function isItem(item: string, field: Field): boolean {
  const [range = '', step, more] = item.split('/')
  if (more !== undefined || (step !== undefined && !(/^\d+$/.test(step) && Number(step) >= 1))) return false
  if (range === '*') return true
  const [from = '', to, rest] = range.split('-')
  if (rest !== undefined) return false
  const first = valueOf(from, field)
  const last = to === undefined ? first : valueOf(to, field)
  return first !== null && last !== null && first <= last
}

function valueOf(text: string, { min, max, names }: Field): number | null {
  const named = names?.indexOf(text.toLowerCase()) ?? -1
  if (named >= 0) return named + min
  const value = /^\d{1,2}$/.test(text) ? Number(text) : -1
  return value >= min && value <= max ? value : null
}

/** What is wrong with an IANA time zone, or null. */
export function timezoneProblem(text: string): string | null {
  // Where Intl takes offsets such as +02:00, they are no zones with rules for summer.
  if (!/^[A-Za-z]/.test(text)) return 'must be the name of a time zone such as Europe/Berlin'
  try {
    new Intl.DateTimeFormat('en', { timeZone: text })
    return null
  } catch {
    return 'is no time zone'
  }
}
