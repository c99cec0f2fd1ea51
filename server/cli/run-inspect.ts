import { parse, stringify } from 'lossless-json'
import type { Environment } from '../environment.ts'
import { apiClient, type ApiClient } from './api-client.ts'
import { EXIT, type ExitCode } from './exit.ts'
import { Change, Checks, Due, readAnswer, readPage, RecordHistory, Rejection, Run } from './run-answers.ts'
import { keyText, printJson, printLines, runTable, summaryLines } from './run-output.ts'
import { tableLines } from './table.ts'

interface Json {
  readonly json?: boolean
}

export interface ListOptions extends Json {
  readonly limit: number
  readonly cursor?: string
}

const PAGE = 1000
/** Asking every source and destination may take a worker a minute. */
const SLOW_MS = 180_000

/** `tailrace runs`. */
export async function listRuns(sync: string | undefined, options: ListOptions & { state?: string }, env: Environment): Promise<void> {
  const { data, next } = await pages(apiClient(env), '/v1/runs', { sync, state: options.state }, options)
  if (options.json === true) {
    printJson({ data, next })
    return
  }
  printLines(runTable(data.map((run) => readAnswer(Run, run))))
  tellMore(next)
}

/** `tailrace cancel`, `pause`, `resume`, `approve`, `reject`. */
export async function steerRun(verb: string, id: string, { json }: Json, env: Environment): Promise<void> {
  const run = readAnswer(Run, await apiClient(env).post(`/v1/runs/${encodeURIComponent(id)}/${verb}`, undefined))
  if (json === true) printJson(run)
  else printLines(summaryLines(run))
  process.stderr.write(`Asked run ${run.id} to ${verb}.\n`)
}

/** `tailrace changes`. */
export async function listChanges(
  id: string,
  options: ListOptions & { op?: string; outcome?: string; key?: string },
  env: Environment,
): Promise<void> {
  const { op, outcome, key } = options
  const { data, next } = await pages(apiClient(env), `/v1/runs/${encodeURIComponent(id)}/changes`, { op, outcome, key }, options)
  if (options.json === true) {
    printJson({ data, next })
    return
  }
  printLines(changeTable(data))
  tellMore(next)
}

/** `tailrace preview`. */
export async function preview(sync: string, options: Json & { limit: number }, env: Environment): Promise<void> {
  const path = `/v1/syncs/${encodeURIComponent(sync)}/preview`
  const body = await apiClient(env).post(path, { limit: options.limit }, { parse, timeoutMs: SLOW_MS })
  const { data } = readPage(body)
  if (options.json === true) {
    printJson(body)
    return
  }
  printLines(changeTable(data))
  process.stderr.write(data.length === 0 ? 'A run would send nothing.\n' : 'Nothing was sent.\n')
}

/** `tailrace rejections`. */
export async function listRejections(sync: string, options: ListOptions, env: Environment): Promise<void> {
  const { data, next } = await pages(apiClient(env), `/v1/syncs/${encodeURIComponent(sync)}/rejections`, {}, options)
  if (options.json === true) {
    printJson({ data, next })
    return
  }
  const rows = data.map((item) => readAnswer(Rejection, item))
  printLines(
    tableLines(
      ['KEY', 'CLASS', 'CODE', 'FIELD', 'NEXT ATTEMPT', 'MESSAGE'],
      rows.map((row) => [keyText(row.key), row.class, row.code, row.field ?? '-', row.nextAttempt ?? '-', row.message]),
    ),
  )
  tellMore(next)
}

/** `tailrace retry`. */
export async function retry(sync: string, { key, json }: Json & { key?: string }, env: Environment): Promise<void> {
  const body = key === undefined ? {} : { key: readKey(key) }
  const answer = readAnswer(Due, await apiClient(env).post(`/v1/syncs/${encodeURIComponent(sync)}/rejections/retry`, body))
  if (json === true) printJson(answer)
  else printLines([`${answer.due} due in the next run`])
}

/** `tailrace record`. */
export async function showRecord(sync: string, key: string, { json }: Json, env: Environment): Promise<void> {
  const path = `/v1/syncs/${encodeURIComponent(sync)}/records/${encodeURIComponent(key)}`
  const body = await apiClient(env).get(path, { parse })
  if (json === true) {
    printJson(body)
    return
  }
  const { acknowledged, inDoubt, runs } = readAnswer(RecordHistory, body)
  const version =
    acknowledged === null
      ? 'nothing'
      : acknowledged.fields === null
        ? 'a version that is past retention'
        : (stringify(acknowledged.fields) ?? '')
  const head = ['RUN', 'AT', 'OP', 'OUTCOME', 'ERROR']
  printLines([
    `acknowledged: ${version}${inDoubt ? ' (the last send is in doubt)' : ''}`,
    ...tableLines(
      head,
      runs.map((run) => [run.run, run.at ?? '-', run.op, run.outcome, errorText(run.error)]),
    ),
  ])
}

/** `tailrace doctor`. 1 when something is wrong. */
export async function doctor({ json }: Json, env: Environment): Promise<ExitCode> {
  const checks = readAnswer(Checks, await apiClient(env).get('/v1/doctor', { timeoutMs: SLOW_MS }))
  if (json === true) printJson(checks)
  else
    printLines(
      tableLines(
        ['CHECK', 'OK', 'DETAIL'],
        checks.map(({ name, ok, detail }) => [name, ok ? 'yes' : 'NO', detail]),
      ),
    )
  return checks.every(({ ok }) => ok) ? EXIT.done : EXIT.failed
}

/** As many items as asked for, over as many pages as that takes. */
async function pages(
  client: ApiClient,
  path: string,
  filters: Readonly<Record<string, string | undefined>>,
  { limit, cursor }: ListOptions,
) {
  const data: unknown[] = []
  let next: string | null = cursor ?? null
  do {
    const query = new URLSearchParams({ limit: String(Math.min(PAGE, limit - data.length)) })
    for (const [name, value] of Object.entries(filters)) if (value !== undefined) query.set(name, value)
    if (next !== null) query.set('cursor', next)
    const page = readPage(await client.get(`${path}?${query.toString()}`, { parse: path.endsWith('/changes') ? parse : JSON.parse }))
    data.push(...page.data)
    next = page.next
  } while (next !== null && data.length < limit)
  return { data, next }
}

function changeTable(data: readonly unknown[]): string[] {
  const rows = data.map((item) => readAnswer(Change, item))
  return tableLines(
    ['KEY', 'OP', 'OUTCOME', 'FIELDS', 'ERROR'],
    rows.map((row) => [keyText(row.key), row.op, row.outcome, stringify(row.fields) ?? '', errorText(row.error)]),
  )
}

function errorText(error: { readonly code: string; readonly message: string } | null): string {
  return error === null ? '' : `${error.code}: ${error.message}`
}

/** A JSON array of texts is a composite key; everything else is the key's text. */
function readKey(text: string): unknown {
  if (!text.startsWith('[')) return text
  try {
    const value: unknown = JSON.parse(text)
    return Array.isArray(value) && value.every((part) => typeof part === 'string') ? value : text
  } catch {
    return text
  }
}

function tellMore(next: string | null): void {
  if (next !== null) process.stderr.write(`There is more: --cursor ${next}, or a higher --limit.\n`)
}
