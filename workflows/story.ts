import { setCurrentDetails, upsertSearchAttributes } from '@temporalio/workflow'
import type { PlanResult } from '../activities/plan/result.ts'
import type { Prepared } from '../activities/prepare/prepare.ts'
import { bookkeeping } from './activities.ts'
import { TAILRACE_DESTINATION, TAILRACE_OUTCOME, TAILRACE_PHASE, TAILRACE_SYNC } from './search-attributes.ts'

type Totals = { readonly delivered: number; readonly skipped: number; readonly rejected: number }

/** What people see of a run while it goes: details and search attributes in the web UI, state and waiting in the API. Counts only. */
export class Story {
  phase = 'planning'
  readonly #run: string
  readonly #sync: string
  #prepared: Prepared | null = null
  #plan: PlanResult | null = null
  #totals: Totals | null = null
  #waiting: { reason: string; until: string | null } | null = null
  #startedMs = 0

  constructor(run: { readonly run: string; readonly sync: string }) {
    this.#run = run.run
    this.#sync = run.sync
    upsertSearchAttributes([
      { key: TAILRACE_SYNC, value: run.sync },
      { key: TAILRACE_PHASE, value: this.phase },
    ])
  }

  enter(phase: string): void {
    this.phase = phase
    upsertSearchAttributes([{ key: TAILRACE_PHASE, value: phase }])
    this.#tell()
  }

  prepared(prepared: Prepared): void {
    this.#prepared = prepared
    upsertSearchAttributes([{ key: TAILRACE_DESTINATION, value: prepared.destination }])
    this.#tell()
  }

  planned(plan: PlanResult): void {
    this.#plan = plan
    this.#tell()
  }

  delivered(totals: Totals): void {
    this.#totals = totals
    this.#tell()
  }

  async hold(reasons: readonly string[], until: string): Promise<void> {
    this.enter('awaiting_approval')
    await this.#note('awaiting_approval', { reason: reasons.join('; '), until })
  }

  async delivering(): Promise<void> {
    this.#startedMs ||= Date.now()
    this.enter('delivering')
    await this.#note('delivering', null)
  }

  async paused(): Promise<void> {
    this.enter('paused')
    await this.#note('paused', null)
  }

  async waiting(reason: string | null, until: string | null): Promise<void> {
    await this.#note(null, reason === null ? null : { reason, until })
  }

  /** The state that the run ended in. */
  end(state: string): string {
    this.phase = state
    this.#waiting = null
    upsertSearchAttributes([
      { key: TAILRACE_PHASE, value: 'ended' },
      { key: TAILRACE_OUTCOME, value: state },
    ])
    this.#tell()
    return state
  }

  async #note(state: string | null, waiting: { reason: string; until: string | null } | null): Promise<void> {
    this.#waiting = waiting
    this.#tell()
    await bookkeeping(state ?? (waiting ? 'note what it waits for' : 'note that it goes on')).noteState({ run: this.#run, state, waiting })
  }

  #tell(): void {
    setCurrentDetails([`**${this.phase}** · ${this.#sync}`, ...this.#route(), ...this.#table(), ...this.#wait()].join('\n\n'))
  }

  #route(): string[] {
    if (!this.#prepared) return []
    const kind = this.#prepared.adopt ? ' · adopt' : this.#prepared.dryRun ? ' · dry run' : this.#prepared.full ? ' · full' : ''
    return [`${this.#prepared.model} → ${this.#prepared.destination}${kind} · run \`${this.#run}\``]
  }

  #table(): string[] {
    if (!this.#plan) return []
    const { read, unchanged, added, changed, removed, invalid } = this.#plan.counts
    const rows = [
      ['read', read],
      ['unchanged', unchanged],
      ['added', added],
      ['changed', changed],
      ['removed', removed],
      ['invalid', invalid],
    ]
    const totals = this.#totals
    if (totals) rows.push(['delivered', totals.delivered], ['skipped', totals.skipped], ['rejected', totals.rejected])
    const rate =
      totals && this.#startedMs > 0
        ? [`${Math.round((totals.delivered * 1000) / Math.max(1000, Date.now() - this.#startedMs))} records/s`]
        : []
    return [['| | records |', '|---|---:|', ...rows.map(([name, count]) => `| ${name} | ${count} |`)].join('\n'), ...rate]
  }

  #wait(): string[] {
    return this.#waiting ? [`waiting${this.#waiting.until ? ` until ${this.#waiting.until}` : ''}: ${this.#waiting.reason}`] : []
  }
}
