/**
 * Whether an address is one of the public internet: everything that is special is refused, so
 * that no spelling, tunnel or translation of an address leads to this machine, its network, a
 * cloud's metadata service or another container. Pure.
 *
 * Sources: IANA IPv4 and IPv6 Special-Purpose Address Registries (2026-11), RFC 6052 (NAT64),
 * RFC 3056 (6to4), RFC 4380 (Teredo), RFC 4291.
 */
import { BlockList, isIP, isIPv4 } from "node:net";

/** Public, or why not. */
export type AddressKind =
  { readonly kind: "public" } | { readonly kind: "special"; readonly reason: string };

type Range = readonly [network: string, prefix: number, reason: string];

const IPV4: readonly Range[] = [
  ["0.0.0.0", 8, "this host"],
  ["10.0.0.0", 8, "a private network"],
  ["100.64.0.0", 10, "a provider's shared network"],
  ["127.0.0.0", 8, "loopback"],
  ["169.254.0.0", 16, "link-local, where clouds have their metadata"],
  ["172.16.0.0", 12, "a private network"],
  ["192.0.0.0", 24, "reserved for protocols"],
  ["192.0.2.0", 24, "for documentation"],
  ["192.88.99.0", 24, "a relay of 6to4"],
  ["192.168.0.0", 16, "a private network"],
  ["198.18.0.0", 15, "for benchmarks"],
  ["198.51.100.0", 24, "for documentation"],
  ["203.0.113.0", 24, "for documentation"],
  ["224.0.0.0", 4, "multicast"],
  ["240.0.0.0", 4, "reserved"],
  // Public by its number, but answered by the host of an Azure machine.
  ["168.63.129.16", 32, "a cloud's host service"],
];

/** All but global unicast (2000::/3), and of that what carries another address or is special. */
const IPV6: readonly Range[] = [
  ["::", 3, "special, mapped or translated"],
  ["4000::", 2, "not assigned"],
  ["8000::", 1, "private, link-local, multicast or not assigned"],
  ["2001::", 23, "Teredo or another protocol"],
  ["2001:db8::", 32, "for documentation"],
  ["2002::", 16, "6to4, which carries an IPv4 address"],
  ["3fff::", 20, "for documentation"],
  ["5f00::", 16, "segment routing"],
];

const ipv4Lists = listsOf(IPV4, "ipv4");
const ipv6Lists = listsOf(IPV6, "ipv6");

/** What kind of address this is, as the resolver or a user writes it; no name. */
export function addressKindOf(address: string): AddressKind {
  if (isIP(address) === 0) return special("no address");
  // A zone names an interface of this machine.
  if (address.includes("%")) return special("an address on one interface");
  const isV4 = isIPv4(address);
  const lists = isV4 ? ipv4Lists : ipv6Lists;
  const found = lists.find(({ list }) => list.check(address, isV4 ? "ipv4" : "ipv6"));
  return found === undefined ? { kind: "public" } : special(found.reason);
}

/**
 * Whether a host is written so that some programs take it for an address, although it is none
 * in the usual spelling: `0x7f000001`, `2130706433`, `0177.0.0.1`, `127.1` (WHATWG URL, "ends in
 * a number").
 */
export function isNumericHost(host: string): boolean {
  const last = host.replace(/\.$/, "").split(".").at(-1) ?? "";
  return isIP(host) === 0 && /^(0x[0-9a-f]*|\d+)$/i.test(last);
}

function listsOf(ranges: readonly Range[], family: "ipv4" | "ipv6") {
  return ranges.map(([network, prefix, reason]) => {
    const list = new BlockList();
    list.addSubnet(network, prefix, family);
    return { list, reason };
  });
}

function special(reason: string): AddressKind {
  return { kind: "special", reason };
}
