import { BlockList, isIP, isIPv6 } from 'node:net'
import ipaddr from 'ipaddr.js'

/** An address as it is compared and shown: IPv4-mapped IPv6 as IPv4, IPv6 in its shortest form without a zone, lower case. Throws on anything else. */
export function normalizeAddress(address: string): string {
  return ipaddr.process(address.replace(/%.*$/, '')).toString()
}

/** What an address counts as where guessing is budgeted: one IPv4 address, or the /64 of an IPv6 one, which one host can hold whole. */
export function addressGroup(address: string): string {
  if (!isIPv6(address)) return address
  const parts = (ipaddr.parse(address) as ipaddr.IPv6).parts
  return `${parts
    .slice(0, 4)
    .map(part => part.toString(16))
    .join(':')}::/64`
}

/** Whether the address is one of the open internet: not private, loopback, link-local, shared, multicast, documentation, nor one of these inside IPv6. */
export function isPublicAddress(address: string): boolean {
  const parsed = ipaddr.process(address.replace(/%.*$/, ''))
  if (parsed.range() !== 'unicast') return false
  // of IPv6 only 2000::/3 is given out; what lies outside, such as `::127.0.0.1`, some systems take for IPv4
  return parsed.kind() === 'ipv4' || ((parsed as ipaddr.IPv6).parts[0] as number) >> 13 === 1
}

export function isLoopbackAddress(address: string): boolean {
  return ipaddr.process(address.replace(/%.*$/, '')).range() === 'loopback'
}

/** The faulty one of these addresses and CIDR blocks, if any. */
export function findBadBlock(blocks: readonly string[]): string | undefined {
  return blocks.find(block => {
    const [address = '', bits, rest] = block.split('/')
    const family = isIP(address)
    if (family === 0 || address.includes('%') || rest !== undefined) return true
    return bits !== undefined && !(/^\d{1,3}$/.test(bits) && Number(bits) <= (family === 4 ? 32 : 128))
  })
}

/** A matcher for addresses and CIDR blocks, both families. Call `findBadBlock` first. */
export function compileBlocks(blocks: readonly string[]): (address: string) => boolean {
  const list = new BlockList()
  for (const block of blocks) {
    const [address = '', bits] = block.split('/')
    const family = isIPv6(address) ? 'ipv6' : 'ipv4'
    if (bits === undefined) list.addAddress(address, family)
    else list.addSubnet(address, Number(bits), family)
  }
  return address => list.check(address, isIPv6(address) ? 'ipv6' : 'ipv4')
}
