import { connect, createServer, type Socket } from 'node:net'
import { listen, type Listening } from './postgres-wire.ts'

/*
 * PostgreSQL made as unlike itself as Redshift is, where a connector could tell. A statement that Redshift would refuse is replaced by
 * one that PostgreSQL refuses, so that the transaction fails as it would there.
 *
 * | behaviour                                                     | source                                                       |
 * |---------------------------------------------------------------|--------------------------------------------------------------|
 * | COPY gives nothing to the client                              | documented: COPY loads only, UNLOAD goes to S3               |
 * | FETCH of more than 1,000 rows, FETCH ALL: refused             | documented: FETCH, single-node clusters                      |
 * | one cursor at a time in a session                             | documented: DECLARE                                          |
 * | settings that there are, their values and units               | documented: configuration reference                          |
 * | no COLLATE "C", no NULLS LAST for keys, no catalog of newer   | documented: unsupported PostgreSQL features and functions    |
 * |   PostgreSQL, no functions younger than 8.0                   |                                                              |
 * | type ids of SUPER (4000), VARBYTE (6551), text as varchar     | inferred from Amazon's JDBC driver                           |
 * | bytes are sent as bare hex digits                             | inferred from amazon-redshift-python-driver                  |
 * | a backslash escapes in a plain string                         | inferred from the documentation's regular expressions;       |
 * |                                                               |   the fixture's database turns standard strings off          |
 * | text is ordered by bytes                                      | documented: collation sequences; the fixture's database is C |
 *
 * Not shown: limits on the size of a cursor's result, blanks at the end of text that do not count, real columns with 8 digits.
 */

const SETTINGS: ReadonlyMap<string, RegExp> = new Map([
  ['datestyle', /^ISO$/],
  ['timezone', /^UTC$/],
  ['extra_float_digits', /^(-1[0-5]|-?\d|[0-2])$/],
  ['statement_timeout', /^\d+$/],
])

const YOUNGER = /\b(unnest|trim_scale|to_json|array_agg|pg_stat_activity|convert_to|current_setting|format_type)\b|collate "C"|::text\b/i

/** Why Redshift would refuse a statement; null if it would not. `cursors` are the session's open ones. */
function refusal(sql: string, cursors: { open: number }): string | null {
  for (const [, name = '', value = ''] of sql.matchAll(/\bset local (\w+) to '([^']*)'/gi)) {
    if (SETTINGS.get(name)?.test(value) !== true) return `the setting ${name}`
  }
  if (/^\s*copy\b/i.test(sql)) return 'COPY to the client'
  if (/\bfetch\s+(forward\s+)?all\b/i.test(sql)) return 'FETCH ALL'
  if (Number(/\bfetch forward (\d+)/i.exec(sql)?.[1] ?? 0) > 1000) return 'a FETCH of more than 1000 rows'
  if (/\bdeclare\b/i.test(sql) && ++cursors.open > 1) return 'a second cursor'
  if (/\b(commit|rollback|begin)\b/i.test(sql)) cursors.open = 0
  return YOUNGER.exec(sql)?.[0] ?? null
}

const TYPE_IDS: ReadonlyMap<number, number> = new Map([
  [114, 4000],
  [17, 6551],
  [25, 1043],
])
const BYTEA = 17

/** A way to PostgreSQL that looks like Redshift. `lose` is how many rows of a cursor get lost on their way. */
export async function redshiftProxy(target: string, { lose = 0 } = {}): Promise<Listening & { readonly url: string }> {
  const { hostname, port } = new URL(target)
  const server = createServer((client) => {
    const upstream = connect(Number(port), hostname)
    const cursors = { open: 0 }
    let left = lose
    let columns: number[] = []
    relay(client, upstream, true, (message) => asked(message, cursors))
    relay(upstream, client, false, (message) => {
      if (message[0] === code('T')) columns = typeIds(message)
      if (message[0] !== code('D')) return message
      if (left === 0 || cursors.open === 0) return bareBytes(message, columns)
      left--
      return NOTHING
    })
    const end = (): void => {
      client.destroy()
      upstream.destroy()
    }
    for (const socket of [client, upstream]) socket.on('error', end).on('close', end)
  })
  const listening = await listen(server)
  const url = new URL(target)
  url.host = `127.0.0.1:${listening.port}`
  return { ...listening, url: url.href }
}

const NOTHING = Buffer.alloc(0)
const code = (letter: string): number => letter.charCodeAt(0)

/** Hands whole messages on as `each` changes them; the first of a client has no type byte. */
function relay(socket: Socket, to: Socket, startsBare: boolean, each: (message: Buffer) => Buffer): void {
  let held: Buffer = Buffer.alloc(0)
  let head = startsBare ? 0 : 1
  socket.on('data', (chunk: Buffer) => {
    held = held.length === 0 ? chunk : Buffer.concat([held, chunk])
    to.cork()
    while (held.length >= head + 4 && held.length >= head + held.readInt32BE(head)) {
      const message = held.subarray(0, head + held.readInt32BE(head))
      held = held.subarray(message.length)
      head = 1
      to.write(each(message))
    }
    to.uncork()
    if (to.writableNeedDrain) socket.pause()
  })
  to.on('drain', () => socket.resume())
}

/** Query: the text; Parse: a name, then the text. */
function asked(message: Buffer, cursors: { open: number }): Buffer {
  const type = String.fromCharCode(message[0] ?? 0)
  if (type !== 'Q' && type !== 'P') return message
  const start = type === 'Q' ? 5 : message.indexOf(0, 5) + 1
  const end = message.indexOf(0, start)
  const refused = refusal(message.toString('utf8', start, end), cursors)
  if (refused === null) return message
  const text = Buffer.from(`Redshift refuses ${refused}`)
  const changed = Buffer.concat([message.subarray(0, start), text, message.subarray(end)])
  changed.writeInt32BE(changed.length - 1, 1)
  return changed
}

/** Changes the type ids of a RowDescription in place and gives PostgreSQL's own. */
function typeIds(message: Buffer): number[] {
  const own: number[] = []
  let at = 7
  for (let left = message.readInt16BE(5); left > 0; left--) {
    at = message.indexOf(0, at) + 1
    const id = message.readInt32BE(at + 6)
    own.push(id)
    message.writeInt32BE(TYPE_IDS.get(id) ?? id, at + 6)
    at += 18
  }
  return own
}

function bareBytes(message: Buffer, columns: readonly number[]): Buffer {
  if (!columns.includes(BYTEA)) return message
  const parts = [message.subarray(0, 7)]
  let at = 7
  for (const id of columns) {
    const length = message.readInt32BE(at)
    const cut = id === BYTEA && length >= 2 ? 2 : 0
    const size = Buffer.alloc(4)
    size.writeInt32BE(length - cut)
    at += 4
    parts.push(size, message.subarray(at + cut, at + Math.max(length, 0)))
    at += Math.max(length, 0)
  }
  const changed = Buffer.concat(parts)
  changed.writeInt32BE(changed.length - 1, 1)
  return changed
}
