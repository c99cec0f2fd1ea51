import ipaddr from 'ipaddr.js'

/** Whether a host name or address, brackets allowed, is this machine only. */
export function isLoopback(host: string): boolean {
  if (host === 'localhost') return true
  const bare = host.replace(/^\[|\]$/g, '')
  return ipaddr.isValid(bare) && ipaddr.process(bare).range() === 'loopback'
}
