import type { Client } from '@temporalio/client'
import type pg from 'pg'
import type { Connections } from './connections.ts'
import type { Journal } from './journal.ts'

/** What activities work with; the worker's composition root makes it. */
export interface Deps {
  readonly db: pg.Pool
  readonly connections: Connections
  readonly client: Client
  readonly taskQueue: string
  readonly journal: Journal
}
