import Type from 'typebox'
import type { Check } from '../contract.ts'
import type { Source, SourceConnector } from '../source-contract.ts'
import { connectionFields, parseConfig } from '../pgwire/config.ts'
import type { Session } from '../pgwire/session.ts'
import { pgwireSource, SILENCE_MS } from '../pgwire/source.ts'
import { REDSHIFT } from './dialect.ts'

const RedshiftConfig = Type.Object(connectionFields, { additionalProperties: false })

/** Amazon Redshift by cursors on the server. */
export const redshift: SourceConnector = {
  slug: 'redshift',
  title: 'Amazon Redshift',
  config: RedshiftConfig,
  secrets: ['url'],
  open: (config) => openRedshift(config, { silenceMs: SILENCE_MS }),
}

export function openRedshift(config: Record<string, unknown>, { silenceMs }: { silenceMs: number }): Source {
  return pgwireSource(parseConfig(REDSHIFT, RedshiftConfig, config).target, { silenceMs, greet })
}

async function greet({ client, target }: Session): Promise<Check> {
  const asked = 'select version() as version, current_database() as database, current_user as user'
  const { rows } = await client.query<{ version: string; database: string; user: string }>(asked)
  const [row] = rows
  // `PostgreSQL 8.0.2 on …, Redshift 1.0.12345`
  const version = /Redshift [\d.]+/.exec(row?.version ?? '')?.[0] ?? 'Redshift’s dialect (no Redshift answered)'
  const who = `database "${row?.database ?? ''}" as user "${row?.user ?? ''}"`
  return { ok: true, detail: `${version} at ${target.address}, ${who}, ${target.encrypted ? 'with TLS' : 'without TLS'}` }
}
