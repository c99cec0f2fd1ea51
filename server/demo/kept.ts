import type { Booted } from './boot.ts'
import { SYNCS } from './documents.ts'
import type { DemoResult } from './result.ts'

/** What `--keep` leaves to look at, and commands to try on it. The address of the warehouse has its password: it ends with the demo. */
export function renderKept({ stack, sandboxUrl, warehouseUrl }: Booted, { crm, outcomes, owed }: DemoResult): string {
  const run = outcomes.find(({ round, system }) => round === 'second' && system === crm)?.run.id ?? 'RUN'
  const key = owed.map(({ rejection }) => rejection.key).find((each) => typeof each === 'string') ?? 'KEY'
  const place = stack.apiUrl === 'http://127.0.0.1:8080' ? [] : [`export TAILRACE_URL=${stack.apiUrl}`]
  const commands = [
    ...place,
    `npx tailrace runs ${SYNCS[crm]}`,
    `npx tailrace changes ${run}`,
    `npx tailrace rejections ${SYNCS[crm]}`,
    `npx tailrace record ${SYNCS[crm]} ${key}`,
    `npx tailrace run ${SYNCS.webhook} --wait`,
    `curl '${sandboxUrl}/_sandbox/records?system=${crm}&limit=1'`,
    `psql ${warehouseUrl} -c 'select * from analytics.customers limit 5'`,
  ]
  return [
    '',
    'All of it stays up until Ctrl-C',
    `  API           ${stack.apiUrl}`,
    `  its docs      ${stack.apiUrl}/docs`,
    `  Temporal UI   ${stack.uiUrl ?? 'not known'}`,
    `  stand-ins     ${sandboxUrl}/_sandbox/report?writes=none`,
    'Try in another terminal, from this folder',
    ...commands.map((command) => `  ${command}`),
    '',
  ].join('\n')
}
