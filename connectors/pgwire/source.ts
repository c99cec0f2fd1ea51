import type { Check } from '../contract.ts'
import type { Source } from '../source-contract.ts'
import { ConnectorError } from '../errors.ts'
import type { Target } from './config.ts'
import { PREPARE_SECONDS, prepareModel } from './model.ts'
import { openReading } from './read.ts'
import { beginReadOnly, withSession, type Session } from './session.ts'

/** So long may a read stay silent before the server is asked on a second connection whether it still works on it. */
export const SILENCE_MS = 300_000

/**
 * A source by PostgreSQL's protocol. One connection a call, closed by it. Models run in a read-only transaction; nothing is ever
 * retried here. `greet` asks who answers: one sentence for `check`.
 */
export function pgwireSource(
  target: Target,
  { silenceMs, greet }: { silenceMs: number; greet: (session: Session) => Promise<Check> },
): Source {
  return {
    async check(signal) {
      try {
        return await withSession(target, signal, 30, greet)
      } catch (error) {
        if (!(error instanceof ConnectorError) || error.kind === 'cancelled') throw error
        return { ok: false, detail: error.message }
      }
    },
    describe: (query, signal) =>
      withSession(target, signal, PREPARE_SECONDS + 30, async (session) => {
        await beginReadOnly(session, PREPARE_SECONDS)
        const { columns } = await prepareModel(session, query)
        await session.client.query('rollback')
        return columns.map(({ name, kind, nativeType }) => ({ name, kind, nativeType }))
      }),
    read: (request) => openReading(target, request, silenceMs),
  }
}
