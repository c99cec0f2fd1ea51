import { isObject, textAt, textsAt, type JsonObject } from '../json-object.ts'

/** One error of Salesforce: of a whole call it carries `errorCode`, of a record in a Collections answer `statusCode`. */
export interface SalesforceError {
  /** `UNKNOWN` where there is none that looks like a code, so that it can stand in messages. */
  readonly code: string
  /** Its words; they may hold a row's values. */
  readonly words: string
  /** API names, where it tells them. */
  readonly fields: readonly string[]
}

const CODE = /^[A-Z][A-Z0-9_]{1,80}$/

export function readError(error: JsonObject): SalesforceError {
  const code = [textAt(error, 'statusCode'), textAt(error, 'errorCode')].find((text) => text !== null && CODE.test(text))
  return { code: code ?? 'UNKNOWN', words: textAt(error, 'message') ?? '', fields: textsAt(error, 'fields') }
}

/** Errors of a refused call: Salesforce answers with a list of them; empty for HTML and the like. */
export function errorsOf(body: unknown): SalesforceError[] {
  const list = Array.isArray(body) ? body : [body]
  return list
    .filter(isObject)
    .filter((one) => 'errorCode' in one || 'statusCode' in one)
    .map(readError)
}

/** For messages: status, code if there is one, and what was asked. */
export function answeredWith(status: number, error: SalesforceError | undefined, what: string): string {
  return `Salesforce answered ${status}${error === undefined ? '' : ` ${error.code}`} to ${what}`
}

/** The body as JSON; undefined where it is none. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
