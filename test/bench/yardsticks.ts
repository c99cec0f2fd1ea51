import { join } from 'node:path'
import { measured } from './child.ts'
import type { Ground } from './ground.ts'
import type { BenchOptions } from './options.ts'
import type { SnowflakeProcess } from '../snowflake/process.ts'

const BARE = new URL('./bare-script.ts', import.meta.url)
const BARE_BULK = new URL('./bare-bulk.ts', import.meta.url)
const PLAIN_COPY = new URL('./plain-copy.ts', import.meta.url)
const PLAIN_SNOWFLAKE = new URL('./plain-snowflake.ts', import.meta.url)

/** Seconds of the bare script for bulk jobs. */
export function bareBulk(ground: Ground): Promise<number> {
  return measured(BARE_BULK, { url: ground.warehouseUrl, sink: ground.sinkUrl }, 'the bare bulk script')
}

/** Seconds of the plain ordered COPY. */
export function plainCopy(ground: Ground): Promise<number> {
  return measured(PLAIN_COPY, { url: ground.warehouseUrl }, 'the plain COPY')
}

/** Seconds of the vendor's driver alone. */
export function plainSnowflake({ config }: SnowflakeProcess): Promise<number> {
  return measured(PLAIN_SNOWFLAKE, { config: config.token }, 'the bare driver')
}

/** Seconds of the bare script where it writes every batch down before it sends it, and settles it after; everything is new to it. */
export function durableScript(ground: Ground, { batch, concurrency }: BenchOptions): Promise<number> {
  const input = { url: ground.warehouseUrl, sink: ground.sinkUrl, state: ground.stateUrl, batch, concurrency }
  return measured(BARE, input, 'the durable script')
}

/**
 * Seconds of the bare script. `everything` is new to it · `changes` against the hashes that it left before · `remember` sends
 * nothing and leaves the hashes.
 */
export function bareScript(
  ground: Ground,
  { batch, concurrency }: BenchOptions,
  what: 'everything' | 'changes' | 'remember',
): Promise<number> {
  const hashes = join(ground.folder, 'hashes')
  const sends = what === 'remember' ? { sink: null, known: null, keep: hashes } : { sink: ground.sinkUrl, keep: null }
  const known = what === 'changes' ? hashes : null
  return measured(BARE, { url: ground.warehouseUrl, batch, concurrency, known, ...sends }, 'the bare script')
}
