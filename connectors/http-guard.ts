import { lookup as resolve, type LookupAddress } from 'node:dns'
import { isIP, type LookupFunction } from 'node:net'
import ipaddr from 'ipaddr.js'
import { ConnectorError } from './errors.ts'

/**
 * Whether an IP address is one of the public internet. Private, loopback, link-local, carrier-grade NAT, unique-local, multicast,
 * reserved, tunnelled (6to4, Teredo, NAT64) and IPv4-compatible ones are not; an IPv4-mapped address counts as the IPv4 it holds.
 */
export function isPublicAddress(address: string): boolean {
  if (!ipaddr.isValid(address)) return false
  const parsed = ipaddr.process(address)
  if (parsed instanceof ipaddr.IPv6 && parsed.parts.slice(0, 6).every((part) => part === 0)) return false
  return parsed.range() === 'unicast'
}

function refusal(host: string): ConnectorError {
  return new ConnectorError(
    'config',
    `${host} is a private or loopback address; nothing was sent. Set allowPrivateNetwork: true if that is meant`,
  )
}

/**
 * Throws `config` if the host of a URL is itself a literal address outside the public internet. Names pass: they are judged by
 * `publicLookup` when the connection is made, so that a name which changes its address in between is caught as well.
 */
export function assertPublicLiteral(hostname: string): void {
  const literal = hostname.replace(/^\[(.*)\]$/, '$1')
  if (isIP(literal) !== 0 && !isPublicAddress(literal)) throw refusal(literal)
}

/** A `lookup` for sockets: resolves, and fails with `config` if any address of the name lies outside the public internet. */
export const publicLookup: LookupFunction = (hostname, options, callback) => {
  resolve(hostname, { ...options, all: true }, (error, addresses: LookupAddress[]) => {
    if (error) return callback(error, [])
    const first = addresses[0]
    if (first === undefined || addresses.some(({ address }) => !isPublicAddress(address)))
      return callback(Object.assign(refusal(hostname), { code: 'EPRIVATE' }), [])
    return options.all === true ? callback(null, addresses) : callback(null, first.address, first.family)
  })
}
