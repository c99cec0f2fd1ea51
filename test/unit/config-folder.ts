import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { byPlace, checkTogether, placed, readConfiguration, type Configuration } from '../../server/config/documents.ts'

/** Writes the files into a folder of their own, lets `use` look at it, and removes it. */
export async function withFolder<T>(files: Readonly<Record<string, string>>, use: (folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'tailrace-config-'))
  try {
    for (const [name, text] of Object.entries(files)) {
      await mkdir(dirname(join(folder, name)), { recursive: true })
      await writeFile(join(folder, name), text)
    }
    return await use(folder)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** What `validate` says about the files, line by line, paths relative to the folder. */
export function validate(
  files: Readonly<Record<string, string>>,
): Promise<{ readonly lines: string[]; readonly configuration: Configuration }> {
  return withFolder(files, async (folder) => {
    const configuration = await readConfiguration(folder)
    const together = checkTogether(configuration).map((finding) => placed(finding, configuration.documents))
    const lines = [...configuration.problems, ...together]
      .sort(byPlace)
      .map(({ file, line, column, message }) => `${file.replace(`${folder}/`, '')}:${line}:${column}: ${message}`)
    return { lines, configuration }
  })
}

export const SOURCE = `kind: Source
name: warehouse
connector: postgres
config: { url: "\${env:WAREHOUSE_URL}" }
`

export const MODEL = `kind: Model
name: customers
source: warehouse
sql: select id, email from customers
primaryKey: id
`

export const DESTINATION = `kind: Destination
name: crm
connector: hubspot
config: { accessToken: "\${env:HUBSPOT_TOKEN}" }
`

export const SYNC = `kind: Sync
name: customers-to-crm
model: customers
destination: crm
object: contacts
mode: upsert
match: email
fields:
  email: email
`

export const ALL = [SOURCE, MODEL, DESTINATION, SYNC].join('---\n')
