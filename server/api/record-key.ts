import { ConnectorError } from '../../connectors/errors.ts'
import { KeyCodec, type KeyPart } from '../../connectors/keys.ts'
import type { WantedKey } from '../../state/run-records.ts'
import { Problem } from './problem.ts'

/**
 * A key out of a path or query, made of the given parts; null without them: nothing is planned yet, so no record can have it.
 * Throws Problem 400 for text that is no such key; the message does not repeat it. Pure.
 */
export function readKey(signature: string | null, text: string): WantedKey | null {
  if (signature === null) return null
  const codec = new KeyCodec(signature.split(',').map(asPart))
  const texts = codec.parts.length === 1 ? [text] : parseTexts(text, codec.parts.length)
  try {
    const bytes = codec.encode(texts)
    const [first = '', ...others] = codec.decode(bytes)
    return { bytes, shown: others.length === 0 ? first : [first, ...others] }
  } catch (error) {
    if (error instanceof ConnectorError) throw wrongKey(error.message)
    throw error
  }
}

function asPart(text: string): KeyPart {
  if (text === 'int64' || text === 'text') return text
  throw new Error(`key part ${text} is not known`)
}

function parseTexts(text: string, parts: number): string[] {
  const rule = `this sync's key has ${parts} columns: give a JSON array of ${parts} texts, URL-encoded`
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw wrongKey(rule)
  }
  if (!Array.isArray(value) || value.length !== parts || !value.every((part) => typeof part === 'string')) throw wrongKey(rule)
  return value
}

function wrongKey(message: string): Problem {
  return new Problem({ status: 400, code: 'validation', detail: message, errors: [{ pointer: '/key', message }] })
}
