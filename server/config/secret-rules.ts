import { escapePointer, parseReferences, stringsIn } from '../../activities/references.ts'
import type { DestinationConnector } from '../../connectors/contract.ts'
import type { SourceConnector } from '../../connectors/source-contract.ts'
import type { NotificationSpec } from '../../state/spec.ts'
import type { Issue } from './finding.ts'

/** Stands for a reference while the text around it is looked at; it cannot be part of an address. */
const MARK = '\uE000'

/** Headers that carry credentials by their name. */
const SECRET_HEADER = /^(proxy-)?authorization$|cookie|token|secret|password|signature|credential|api-?key|access-?key|auth-?key/i

/** What may stand around a reference in such a header: a scheme, or names of cookies. */
const HEADER_FRAME = new RegExp(`^(?:(?:Basic|Bearer|Token|ApiKey|Api-Key|Digest|Key) +)?${MARK}+$|^(?:[\\w.-]+=${MARK}+(?:; *|$))+$`, 'i')

/**
 * Secrets in the clear, and references that are not allowed, in a connector's configuration. Only the text is looked at: whether a
 * variable or a file is there, the worker finds out. Pure; messages never quote a value.
 */
export function configSecretIssues(connector: SourceConnector | DestinationConnector, config: Readonly<Record<string, unknown>>): Issue[] {
  const secret = new Set(connector.secrets.map((path) => `/config/${path.split('.').map(escapePointer).join('/')}`))
  const issues: Issue[] = []
  const present = new Set<string>()
  for (const { pointer, text } of stringsIn(config, '/config')) {
    if (secret.has(pointer)) present.add(pointer)
    const message = textProblem(pointer, text, secret.has(pointer))
    if (message !== null) issues.push({ pointer, message })
  }
  if (secret.size > 0 && present.size === 0 && ![...secret].some((pointer) => isRequired(connector, pointer))) {
    const ways = [...new Set(connector.secrets.map((path) => path.split('.')[0]))]
    issues.push({ pointer: '/config', message: `has no credentials; give one of ${ways.join(', ')}` })
  }
  return issues
}

export function notificationSecretIssues(spec: NotificationSpec): Issue[] {
  const issues: Issue[] = []
  const url = textProblem('/url', spec.url, false)
  if (url !== null) issues.push({ pointer: '/url', message: url })
  const secret = textProblem('/secret', spec.secret, true)
  if (secret !== null) issues.push({ pointer: '/secret', message: secret })
  return issues
}

function textProblem(pointer: string, text: string, secret: boolean): string | null {
  const { pieces, problems } = parseReferences(text)
  if (problems.length > 0) return problems.join('; ')
  const shape = pieces.map((piece) => (typeof piece === 'string' ? piece : MARK)).join('')
  const name = pointer.slice(pointer.lastIndexOf('/') + 1)
  if (hasPassword(shape) || (secret && isAddress(name, shape) && hidesPassword(shape)))
    return `holds a password in the clear; ${advice(name)}`
  if (secret && shape !== MARK && !isAddress(name, shape)) return `is a secret in the clear; ${advice(name)}`
  if (/\/headers\/[^/]+$/i.test(pointer) && SECRET_HEADER.test(name) && !HEADER_FRAME.test(shape))
    return `is a secret in the clear; ${advice(name)}`
  return null
}

function advice(name: string): string {
  if (/url$/i.test(name))
    return 'write it as a reference, the whole address "${env:NAME}" or its password only: scheme://user:${env:NAME}@host'
  return 'write it as a reference: "${env:NAME}" or "${file:/path}"'
}

/** A field such as a database's `url` is secret for its password only. */
function isAddress(name: string, shape: string): boolean {
  return /url$/i.test(name) && /^[a-z][a-z0-9+.-]*:\/\/./i.test(shape)
}

function hasPassword(shape: string): boolean {
  const authority = /^[^/?#]*:\/\/([^/?#]*)/.exec(shape)?.[1] ?? ''
  const at = authority.lastIndexOf('@')
  const userinfo = at < 0 ? '' : authority.slice(0, at)
  const colon = userinfo.indexOf(':')
  const password = colon < 0 ? '' : userinfo.slice(colon + 1)
  if (password.replaceAll(MARK, '') !== '') return true
  if (!shape.includes('://')) return false
  return [...shape.matchAll(/[?&](?:password|passwd|pwd|sslpassword)=([^&#]*)/gi)].some(
    (match) => (match[1] ?? '').replaceAll(MARK, '') !== '',
  )
}

/** A password with an unescaped `/`, `?` or `#` ends the address too early: its `@` is then behind the part that names the host. */
function hidesPassword(shape: string): boolean {
  const [authority = '', ...rest] = shape.replace(/^[^/?#]*:\/\//, '').split(/[/?#]/)
  return !authority.includes('@') && (rest.some((part) => part.includes('@')) || /:(?!\d*$|\uE000*$)[^\]]*$/.test(authority))
}

function isRequired(connector: SourceConnector | DestinationConnector, pointer: string): boolean {
  const [, , first = ''] = pointer.split('/')
  const { required } = connector.config
  return Array.isArray(required) && required.some((key) => key === first)
}
