import type { ConnectionLike } from '@temporalio/client'
import type { Database } from '../state/database.ts'
import type { Readiness } from './observe.ts'

const PROBE_MS = 3_000

/** Ready is whose dependencies answer; never rejects. */
export async function readiness(db: Database, temporalUp: () => Promise<boolean>): Promise<Readiness> {
  const [database, temporal] = await Promise.all([answers(() => within(PROBE_MS, db.query('select 1'))), temporalUp()])
  if (database && temporal) return { ok: true }
  return { ok: false, failing: [...(database ? [] : ['database']), ...(temporal ? [] : ['temporal'])].join(', ') }
}

async function answers(ask: () => Promise<unknown>): Promise<boolean> {
  try {
    await ask()
    return true
  } catch {
    return false
  }
}

async function within<T>(ms: number, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${ms} ms`)), ms)
  })
  try {
    return await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}

export function temporalAnswers(connection: ConnectionLike, namespace: string): Promise<boolean> {
  return answers(() => connection.withDeadline(Date.now() + PROBE_MS, () => connection.workflowService.describeNamespace({ namespace })))
}
