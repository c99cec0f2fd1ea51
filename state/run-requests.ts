import { randomUUID } from 'node:crypto'
import type pg from 'pg'
export interface RunRequest { sync: string; trigger: string; full: boolean; verify: boolean; dryRun: boolean; adopt: boolean; onConflict: string }
export async function acceptRun(db: pg.Pool, r: RunRequest): Promise<{ kind: string; run: { id: string; sync: string } }> {
  const id = randomUUID()
  await db.query(`insert into run (id, sync, slot, trigger, full_plan, verify, dry_run, adopt) values ($1,$2,'active',$3,$4,$5,$6,$7)`, [id, r.sync, r.trigger, r.full, r.verify, r.dryRun, r.adopt])
  return { kind: 'accepted', run: { id, sync: r.sync } }
}
export async function promoteNext(db: pg.Pool, sync: string): Promise<void> {
  await db.query(`update run set slot = 'active' where sync = $1 and slot = 'next' and not exists (select 1 from run where sync = $1 and slot = 'active')`, [sync])
}
