import { setTimeout as sleep } from 'node:timers/promises'
import type { Connection } from '@temporalio/client'
import { TAILRACE_DESTINATION, TAILRACE_OUTCOME, TAILRACE_PHASE, TAILRACE_SYNC } from '../workflows/search-attributes.ts'

/** All of type Keyword; the workflow sets them, Temporal's UI filters by them. */
export const SEARCH_ATTRIBUTES = [TAILRACE_SYNC, TAILRACE_DESTINATION, TAILRACE_PHASE, TAILRACE_OUTCOME].map((key) => key.name)

// temporal.api.enums.v1.IndexedValueType; the enum itself cannot be imported from an ES module.
const KEYWORD = 2

/**
 * Makes sure that the namespace knows our search attributes. Idempotent and safe from several places at once. Throws when one of
 * them exists with another type: Temporal accepts adding it again and changes nothing.
 */
export async function registerSearchAttributes(connection: Connection, namespace: string): Promise<void> {
  const missing = await listMissing(connection, namespace)
  if (missing.length === 0) return
  await connection.operatorService.addSearchAttributes({
    namespace,
    searchAttributes: Object.fromEntries(missing.map((name) => [name, KEYWORD])),
  })
  // A cluster may take some seconds until every node knows them.
  for (let tries = 0; (await listMissing(connection, namespace)).length > 0; tries += 1) {
    if (tries >= 60)
      throw new Error(
        `Temporal does not show the search attributes ${missing.join(', ')} a minute after they were added: run \`tailrace migrate\` again`,
      )
    await sleep(1000)
  }
}

async function listMissing(connection: Connection, namespace: string): Promise<string[]> {
  const { customAttributes } = await connection.operatorService.listSearchAttributes({ namespace })
  const wrong = SEARCH_ATTRIBUTES.filter((name) => (customAttributes[name] ?? KEYWORD) !== KEYWORD)
  if (wrong.length > 0) {
    throw new Error(
      `the namespace ${namespace} has ${wrong.join(', ')} with a type other than Keyword: remove it with \`temporal operator search-attribute remove\``,
    )
  }
  return SEARCH_ATTRIBUTES.filter((name) => customAttributes[name] === undefined)
}
