import type pg from 'pg'
import type { KeyPart } from '../keys.ts'
import type { ModelColumn } from './columns.ts'

/** What sets one server that speaks PostgreSQL's protocol apart from another. Everything else in this folder is common to them. */
export interface Dialect {
  /** As in the configuration. */
  readonly slug: string
  /** As in messages. */
  readonly title: string
  readonly port: number
  /** Schemes of the url. */
  readonly schemes: readonly string[]
  /** Advice for a read that the server ended, and for a login that it refused; each as the end of a sentence. */
  readonly advice: { readonly ended: string; readonly login: string }
  /** Settings that decide how a value is printed or how long a statement may take, pinned for one transaction. */
  settings(statementTimeoutSeconds: number): Readonly<Record<string, string>>
  statementTimeout(seconds: number): string
  /** The columns behind a row description. */
  columns(client: pg.Client, fields: readonly pg.FieldDef[]): Promise<ModelColumn[]>
  /** Names of the types that a primary key may have, for messages. */
  readonly keyTypes: string
  /** How this session's key columns are selected so that their order is that of the key bytes. Asks within the snapshot. */
  keyOrder(client: pg.ClientBase): Promise<KeyOrder>
  /** SQL with the backend's process id as $1: one row if it computes. One that waits to write to us, while nothing arrives, does not. */
  readonly working: string
  /** Starts a query that is known to be one SELECT and gives its rows in COPY's text format. */
  rows(client: pg.Client, sql: string): RowStream
}

/** `sql` is a key column's text or integer, to stand at `position` of the select list. */
export type KeyOrder = (sql: string, part: KeyPart, position: number) => { readonly item: string; readonly orderBy: string }

export interface RowStream {
  readonly chunks: AsyncIterator<Buffer>
  /** How many rows the server says it sent; known once the chunks and the transaction have ended. */
  declared(): number
}
