import { setTimeout as pause } from 'node:timers/promises'
import { stateCosts, startCounting } from './state-costs.ts'
import type { Ground } from './ground.ts'
import type { BenchOptions } from './options.ts'
import { configure, runSync } from './run-sync.ts'
import { fillWarehouse } from './warehouse.ts'
import { bareScript } from './yardsticks.ts'

const SYNCS = 1000
const EVERY = '1h'
const SCHEDULED_LIMIT_MS = 10 * 60_000

export interface IdleResult {
  readonly seconds: number
  /** Runs that ended meanwhile. */
  readonly runs: number
  /** Of their workflows, from start to end; median. */
  readonly runSeconds: number
  /** The bare script over the same model. */
  readonly rawSeconds: number
  /** Of one run. */
  readonly historyEvents: number
  readonly workerCpuPercent: number | null
  readonly queriesPerSecond: number
  readonly peakRssMb: number | null
}

/**
 * A thousand syncs on an hourly schedule, nothing to send: what one worker and the state database do all day. Schedules are spread
 * over the hour, so a few minutes are a fair part of it.
 */
export async function measureIdle(ground: Ground, options: BenchOptions, tell: (line: string) => void): Promise<IdleResult> {
  await fillWarehouse(ground.warehouse, options.rows)
  await configure(ground, options, 'bench')
  const first = await ground.startWorker()
  await runSync(ground, 'bench', { records: 0, adopt: true })
  await first.stop()
  await multiply(ground)
  await bareScript(ground, options, 'remember')
  const rawSeconds = await bareScript(ground, options, 'changes')

  const worker = await ground.startWorker(options)
  await everythingScheduled(ground)
  tell(`${SYNCS} syncs are scheduled every ${EVERY}; watching for ${options.minutes} minutes`)
  await startCounting(ground.state)
  const { rows: since } = await ground.state.query<{ now: Date }>('select clock_timestamp() as now')
  const [startedMs, cpuBefore] = [performance.now(), await worker.cpuSeconds()]
  await pause(options.minutes * 60_000)
  const [seconds, cpuAfter] = [(performance.now() - startedMs) / 1000, await worker.cpuSeconds()]
  const { queries } = await stateCosts(ground.state)
  const { runs, runSeconds, historyEvents } = await ended(ground, options, since[0]?.now ?? new Date(0))
  const { records } = await ground.received()
  if (records > 0) throw new Error(`the sink got ${records} records, none were to be sent`)
  const peakRssMb = await worker.peakRssMb()
  await worker.stop()
  return {
    seconds,
    runs,
    runSeconds,
    rawSeconds,
    historyEvents,
    workerCpuPercent: cpuBefore === null || cpuAfter === null ? null : ((cpuAfter - cpuBefore) / seconds) * 100,
    queriesPerSecond: queries / seconds,
    peakRssMb,
  }
}

/** The adopted sync a thousand times: they share model and mapping, so its baseline is theirs. */
async function multiply({ state }: Ground): Promise<void> {
  const names = Array.from({ length: SYNCS }, (_, i) => `idle-${i}`)
  await state.query(
    `insert into resource (kind, name, spec) select 'Sync', n, spec || $2 from resource, unnest($1::text[]) n where kind = 'Sync' and name = 'bench'`,
    [names, JSON.stringify({ schedule: { every: EVERY } })],
  )
  await state.query(
    `insert into sync_state (sync, generation, baseline_id, key_parts, mapping_id, compacted_seq)
     select n, generation, baseline_id, key_parts, mapping_id, compacted_seq from sync_state, unnest($1::text[]) n where sync = 'bench'`,
    [names],
  )
  await state.query(
    `insert into baseline_segment (sync, generation, first_key, seq, last_key, size, entries)
     select n, generation, first_key, seq, last_key, size, entries from baseline_segment, unnest($1::text[]) n where sync = 'bench'`,
    [names],
  )
}

async function everythingScheduled({ client }: Ground): Promise<void> {
  const limit = performance.now() + SCHEDULED_LIMIT_MS
  for (;;) {
    let found = 0
    for await (const schedule of client.schedule.list()) if (schedule.scheduleId.startsWith('schedule/idle-')) found++
    if (found === SYNCS) return
    if (performance.now() > limit) throw new Error(`only ${found} of ${SYNCS} schedules are there`)
    await pause(1000)
  }
}

/** Throws unless every run that ended found all its rows unchanged. */
async function ended({ state, client }: Ground, { rows: wanted }: BenchOptions, since: Date): Promise<Ended> {
  const { rows } = await state.query<{ runs: string; good: string; seconds: number | null; sync: string; started: string }>(
    `select count(*) as runs, count(*) filter (where state = 'succeeded' and (planned ->> 'unchanged')::int = $2) as good,
       percentile_cont(0.5) within group (order by extract(epoch from finished_at - created_at)) as seconds,
       min(sync) as sync, (array_agg(temporal_run_id order by sync))[1] as started
     from run where finished_at > $1`,
    [since, wanted],
  )
  const [all] = rows
  const [runs, good] = [Number(all?.runs ?? 0), Number(all?.good ?? 0)]
  if (!all || runs === 0) throw new Error('no run ended while it was watched')
  if (good !== runs) throw new Error(`${runs - good} of ${runs} runs did not find all rows unchanged`)
  const { events } = await client.workflow.getHandle(`sync/${all.sync}`, all.started).fetchHistory()
  return { runs, runSeconds: all.seconds ?? NaN, historyEvents: events?.length ?? 0 }
}

interface Ended {
  readonly runs: number
  /** Median. */
  readonly runSeconds: number
  readonly historyEvents: number
}
