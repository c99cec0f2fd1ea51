import { createHash } from 'node:crypto'
import ipaddr from 'ipaddr.js'
import { ConnectorError } from './errors.ts'

/** Whether a host name or address, brackets allowed, is this machine only. */
export function isLoopback(host: string): boolean {
  if (host === 'localhost') return true
  const bare = host.replace(/^\[|\]$/g, '')
  return ipaddr.isValid(bare) && ipaddr.process(bare).range() === 'loopback'
}

/**
 * An address that credentials may travel to: https://, or http:// on this machine. Throws `config`; `label` names the option,
 * for example `hubspot: baseUrl`.
 */
export function credentialAddress(text: string, label: string): URL {
  const url = URL.canParse(text) ? new URL(text) : null
  if (url === null) throw new ConnectorError('config', `${label} is no URL`)
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && isLoopback(url.hostname)))
    throw new ConnectorError('config', `${label} must be https://, or http:// on a loopback address, because credentials travel in it`)
  return url
}

/** Identity of an account: same address and same credentials, same text. A hash, no secret in it. */
export function accountHash(address: URL, credentials: readonly (string | undefined)[]): string {
  return createHash('sha256')
    .update(JSON.stringify([bareAddress(address), ...credentials]))
    .digest('hex')
}

/** The address without a slash at its end, query and fragment: how addresses are compared. */
export function bareAddress(url: URL): string {
  return url.origin + url.pathname.replace(/\/+$/, '')
}
