import assert from 'node:assert/strict'
import type { Fault } from '../../connectors/sandbox/faults.ts'
import type { WriteCount } from '../../connectors/sandbox/stand-in.ts'
import { startStack, type Role, type Run, type Stack } from '../harness/stack.ts'
import type { CrashDestination } from './destinations.ts'

const ROWS = 230
const CHANGED = 120
const RENAMED = 5
const REMOVED = 15
const ADDED = 10

/** Writes that the first run and the changes after it are worth. */
export const FIRST_LOAD = ROWS
export const changesOf = ({ removesRenamed }: CrashDestination): number =>
  CHANGED + RENAMED + ADDED + REMOVED + (removesRenamed ? RENAMED : 0)

export interface Count {
  /** Records that the destination holds otherwise than the warehouse does. */
  readonly lost: number
  /** Writes beyond one a version; where a receiver drops repeats, repeats with other bytes. */
  readonly doubled: number
  /** Repeats that the receiver could drop. */
  readonly repeats: number
}

/** One installation that many cells use one after the other: API, workers and a destination that is emptied for each. */
export class Ground {
  readonly stack: Stack
  readonly destination: CrashDestination
  readonly workers: Role[] = []
  api: Role
  /** The cell's own. */
  sync = ''
  #cells = 0

  static async open(destination: CrashDestination): Promise<Ground> {
    const stack = await startStack({ TAILRACE_FAILPOINTS: 'none' })
    return new Ground(stack, destination, await stack.start('api'))
  }

  private constructor(stack: Stack, destination: CrashDestination, api: Role) {
    this.stack = stack
    this.destination = destination
    this.api = api
  }

  /** Exactly so many live workers, nothing armed. */
  async crew(count: number): Promise<void> {
    for (const surplus of this.workers.splice(count)) await surplus.kill()
    while (this.workers.length < count) await this.hire()
    for (const worker of this.workers) await worker.arm('')
  }

  async hire(failpoints = 'none'): Promise<Role> {
    const worker = await this.stack.start('worker', { TAILRACE_FAILPOINTS: failpoints })
    this.workers.push(worker)
    return worker
  }

  /** An empty destination, a table of contacts and a sync that never ran. */
  async fresh(config: object = {}, source: object = {}): Promise<void> {
    const { stack, destination } = this
    await sandbox(stack, '/reset', {})
    if (destination.settings) await sandbox(stack, '/settings', { [destination.slug]: destination.settings })
    await stack.warehouse.query(
      'create schema if not exists planner; drop table if exists contacts; create table contacts (id bigint, email text, name text)',
    )
    await stack.warehouse.query(
      `insert into contacts select n, 'person' || n || '@example.com', 'one' from generate_series(1, ${ROWS}) as n`,
    )
    this.sync = `cell-${++this.#cells}`
    await stack.apply([
      { kind: 'Source', name: 'warehouse', connector: 'postgres', config: { url: '${env:WAREHOUSE_URL}', ...source } },
      { kind: 'Model', name: 'contacts', source: 'warehouse', sql: 'select * from contacts', primaryKey: 'id' },
      { kind: 'Destination', name: 'target', connector: destination.slug, config: { ...destination.config(stack), ...config } },
      {
        kind: 'Sync',
        name: this.sync,
        model: 'contacts',
        destination: 'target',
        mode: 'mirror',
        guards: { maxRemoved: '100%', maxRejected: '100%' },
        ...destination.sync,
      },
    ])
  }

  /** Rows change, are renamed, leave and arrive. */
  async change(): Promise<void> {
    await this.stack.warehouse.query(`
      update contacts set name = 'two' where id <= ${CHANGED};
      update contacts set email = 'renamed' || id || '@example.com' where id > ${CHANGED} and id <= ${CHANGED + RENAMED};
      delete from contacts where id > ${ROWS - REMOVED};
      insert into contacts select n, 'person' || n || '@example.com', 'new' from generate_series(${ROWS + 1}, ${ROWS + ADDED}) as n`)
  }

  async fault(...faults: Omit<Fault, 'on'>[]): Promise<void> {
    await sandbox(this.stack, '/faults', { faults: faults.map((fault) => ({ on: this.destination.slug, ...fault })) })
  }

  async accept(options: object = {}, sync = this.sync): Promise<string> {
    const { status, body } = await this.stack.call('POST', `/v1/syncs/${sync}/runs`, options)
    assert.equal(status, 202, JSON.stringify(body))
    return String(body['id'])
  }

  async ended(id: string): Promise<Run> {
    return this.stack.ended(id)
  }

  /** A run that goes by itself and leaves nothing owed. */
  async run(options: object = {}): Promise<Run> {
    return succeeded(await this.ended(await this.accept(options)))
  }

  /**
   * One more run finds nothing to do; then what the destination holds and how often it was written, against the warehouse and
   * `versions`, the number of record versions that were planned.
   */
  async count(versions: number): Promise<Count> {
    const { counts } = await this.run()
    assert.deepEqual([counts['added'], counts['changed'], counts['removed']], [0, 0, 0], 'the run after finds nothing to do')
    const { rows } = await this.stack.warehouse.query<{ email: string; name: string | null }>('select email, name from contacts')
    const wanted = new Map(rows.map(({ email, name }) => [email, name]))
    const { slug, stored, atLeastOnce } = this.destination
    const url = `${this.stack.sandbox.url}/_sandbox`
    const { records } = (await (await fetch(`${url}/records?system=${slug}`)).json()) as { records: { fields: Record<string, unknown> }[] }
    const held = new Map(records.map(({ fields }) => stored(fields)))
    const report = (await (await fetch(`${url}/report`)).json()) as { systems: Record<string, SystemReport> }
    const system = report.systems[slug]
    assert.ok(system)
    const missing = [...wanted].filter(([email, name]) => !held.has(email) || held.get(email) !== name).length
    const leftOver = [...held.keys()].filter((email) => !wanted.has(email)).length
    const { effective, repeated } = system.totals
    const mismatches = (system.findings['mismatches'] as unknown[] | undefined)?.length ?? 0
    const again = system.writes.reduce((sum, write) => sum + write.effective - 1, 0)
    const beyond = Math.max(0, effective - versions, again) + mismatches
    return {
      lost: missing + leftOver + Math.max(0, versions - effective),
      doubled: beyond + (atLeastOnce ? 0 : repeated),
      repeats: atLeastOnce ? repeated : 0,
    }
  }

  async close(): Promise<void> {
    await this.stack.stop()
  }
}

interface SystemReport {
  readonly writes: readonly WriteCount[]
  readonly totals: { readonly effective: number; readonly repeated: number }
  readonly findings: Readonly<Record<string, unknown>>
}

export async function sandbox(stack: Stack, path: string, body: object): Promise<void> {
  const response = await fetch(`${stack.sandbox.url}/_sandbox${path}`, { method: 'POST', body: JSON.stringify(body) })
  assert.ok(response.ok, await response.text())
}

/** And its counts add up. */
export function succeeded(run: Run): Run {
  assert.equal(run.state, 'succeeded', JSON.stringify(run))
  const { added = 0, changed = 0, removed = 0, delivered = 0, skipped = 0, rejected = 0, inDoubt } = run.counts
  assert.deepEqual([inDoubt, delivered + skipped + rejected], [0, added + changed + removed], JSON.stringify(run))
  return run
}
