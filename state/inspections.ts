import type pg from 'pg'

/** Requests to a worker and its answers, which may hold row values: they are read once and deleted. */
export async function askInspection(db: pg.Pool, id: string, input: unknown): Promise<void> {
  await db.query('insert into inspection (id, input) values ($1, $2)', [id, JSON.stringify(input)])
}

export async function inspectionInput(db: pg.Pool, id: string): Promise<unknown> {
  const { rows } = await db.query<{ input: unknown }>('select input from inspection where id = $1', [id])
  return rows[0]?.input ?? null
}

export async function answerInspection(db: pg.Pool, id: string, result: unknown): Promise<void> {
  await db.query('update inspection set result = $2 where id = $1', [id, JSON.stringify(result)])
}

/** Undefined: no answer. The answer is gone after this. */
export async function answerOf(db: pg.Pool, id: string): Promise<unknown> {
  const { rows } = await db.query<{ result: unknown }>('delete from inspection where id = $1 and result is not null returning result', [id])
  return rows[0]?.result
}
