/**
 * What the recorded runs handle: row values and secrets that can be told from everything else, so that a history can be searched
 * for them.
 */
export const TOKEN = 'pat-recorded-token'
export const WEBHOOK_SECRET = `whsec_${Buffer.from('recorded-webhook-secret-32-bytes').toString('base64')}`
export const SALESFORCE_SECRET = 'recorded-salesforce-secret'
export const PASSWORD = 'recorded-password'

export const NAME = 'Recorded Name'
/** No e-mail address, so its row is invalid. */
export const BROKEN_EMAIL = 'recorded.example without an at'

/** Whatever of these a text holds should not be in any history. */
export const PRIVATE: readonly string[] = [
  'recorded.example',
  NAME,
  TOKEN,
  WEBHOOK_SECRET,
  WEBHOOK_SECRET.slice(6),
  SALESFORCE_SECRET,
  PASSWORD,
  'postgres://',
]

export const CASES = [
  'plain',
  'no-change',
  'several-ranges',
  'eight-ranges',
  'lost-answer',
  'held-approved',
  'held-rejected',
  'held-expired',
  'paused-resumed',
  'cancelled',
  'failed-auth',
  'continued-as-new',
  'went-on-as-new',
  'inherited',
  'dry-run',
  'adopt',
  'inspection',
  'launch',
  'bulk',
  'bulk-cancelled',
  'bulk-continued-as-new',
  'bulk-went-on-as-new',
] as const

export type Case = (typeof CASES)[number]

/** These are recorded on a server that finds ten events a long history. */
export const LONG: readonly Case[] = ['continued-as-new', 'went-on-as-new', 'bulk-continued-as-new', 'bulk-went-on-as-new']

export const historyFile = (name: Case): URL => new URL(`histories/${name}.json`, import.meta.url)
