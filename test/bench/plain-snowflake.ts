import { DRIVER_ENVIRONMENT, driver } from '../../connectors/snowflake/driver.ts'
import { scriptInput } from './child.ts'
import { COLUMNS, TABLE } from './warehouse.ts'

/** The vendor's driver at its best: one ordered query, ten columns as text, rows thrown away. */
const config = scriptInput((input) => input['config'] as Record<string, string>)
Object.assign(process.env, DRIVER_ENVIRONMENT)
const connection = driver().createConnection({
  ...config,
  ...{ authenticator: 'PROGRAMMATIC_ACCESS_TOKEN', rowMode: 'array', resultPrefetch: 1, rowStreamHighWaterMark: 1000 },
})
await connection.connectAsync()
const execute = (sqlText: string) =>
  new Promise<NodeJS.ReadableStream>((resolve, reject) => {
    connection.execute({
      sqlText,
      streamResult: true,
      complete: (error, statement) => {
        if (error) reject(new Error(error.message))
        else if ('streamRows' in statement) resolve(statement.streamRows())
      },
    })
  })
await execute('ALTER SESSION SET CLIENT_RESULT_CHUNK_SIZE = 16')
const startedMs = performance.now()
let rows = 0
for await (const row of await execute(`select ${COLUMNS.map((name) => `to_varchar(${name})`).join(', ')} from ${TABLE} order by id`)) {
  if (Array.isArray(row)) rows++
}
const seconds = (performance.now() - startedMs) / 1000
connection.destroy(() => process.send?.({ seconds, rows }))
