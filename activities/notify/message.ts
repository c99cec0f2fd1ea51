import type { Notice } from '../../state/notices.ts'

/** The body of a notification: equal for every repeat. Names, ids, counts and our own words; no row values. */
export function noticeBody({ id, sync, run, event, detail, createdAt }: Notice): string {
  return JSON.stringify({ type: `sync.${event}`, timestamp: createdAt.toISOString(), data: { id, event, sync, run, ...detail } })
}
