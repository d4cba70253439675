/**
 * Which addresses a build may reach: the public Internet, and what this host is configured with.
 *
 * Addresses are judged when a connection is made, after the name was resolved, so that no name
 * and no spelling of an address leads to this machine, its neighbours or a cloud's metadata.
 */
import { lookup } from "node:dns/promises";
import { BlockList, connect, isIP, type Socket } from "node:net";
import { messageOf } from "../../../core/index.ts";
import { awayError, wrongImage } from "../oci/image-error.ts";

/** Hosts (`name:port`, lower case) that may have any address. */
export type TrustedHosts = ReadonlySet<string>;

const CONNECT_MS_MAX = 20_000;

/** Source: IANA special-purpose address registries, as of 2026-01. */
const INWARD = new BlockList();
for (const [network, bits] of [
  ["0.0.0.0", 8],
  ["10.0.0.0", 8],
  ["100.64.0.0", 10],
  ["127.0.0.0", 8],
  ["169.254.0.0", 16],
  ["172.16.0.0", 12],
  ["192.0.0.0", 24],
  ["192.168.0.0", 16],
  ["224.0.0.0", 3],
  // Azure's metadata and Alibaba's live in public-looking ranges.
  ["168.63.129.16", 32],
] as const) {
  INWARD.addSubnet(network, bits, "ipv4");
}
for (const [network, bits] of [
  ["::", 127],
  ["64:ff9b::", 96],
  ["fc00::", 7],
  ["fe80::", 10],
  ["ff00::", 8],
] as const) {
  INWARD.addSubnet(network, bits, "ipv6");
}

/** Whether an address is of the public Internet. */
export function isPublicAddress(address: string): boolean {
  const family = isIP(address);
  if (family === 0) return false;
  if (family === 4) return !INWARD.check(address, "ipv4");
  // An IPv4 address in the clothes of IPv6 is judged as what it is.
  const mapped = /^::ffff:(?:(\d+\.\d+\.\d+\.\d+)|([0-9a-f]+):([0-9a-f]+))$/i.exec(address);
  if (mapped === null) return !INWARD.check(address, "ipv6");
  const [, dotted, high = "0", low = "0"] = mapped;
  return isPublicAddress(dotted ?? dottedOf(Number.parseInt(high, 16), Number.parseInt(low, 16)));
}

function dottedOf(high: number, low: number): string {
  return [high >> 8, high & 255, low >> 8, low & 255].join(".");
}

/**
 * A connection to a host, if it may be reached.
 *
 * @throws PlatformError `invalid_request` when it may not, `unavailable` when it does not answer.
 */
export async function connectOutward(
  host: string,
  port: number,
  trusted: TrustedHosts,
): Promise<Socket> {
  const name = host.replace(/^\[|\]$/g, "").toLowerCase();
  const isTrusted = trusted.has(`${name}:${port}`);
  const addresses = await lookup(name, { all: true }).catch((error: unknown) => {
    throw awayError(`cannot find ${name}: ${messageOf(error)}`, error);
  });
  const usable = isTrusted ? addresses : addresses.filter((one) => isPublicAddress(one.address));
  if (usable.length === 0) {
    throw wrongImage(
      `${name}:${port} is not on the public Internet; what is built may reach only that, and the ` +
        "package indexes and registries that this host is configured with",
    );
  }
  let failure: unknown;
  for (const { address } of usable) {
    try {
      return await open(address, port);
    } catch (error) {
      failure = error;
    }
  }
  throw awayError(`cannot connect to ${name}:${port}: ${messageOf(failure)}`, failure);
}

async function open(address: string, port: number): Promise<Socket> {
  const socket = connect({ host: address, port });
  try {
    await new Promise<void>((resolve, reject) => {
      socket.setTimeout(CONNECT_MS_MAX, () => reject(new Error("no answer in time")));
      socket.once("connect", () => resolve());
      socket.once("error", reject);
    });
  } catch (error) {
    socket.destroy();
    throw error;
  }
  socket.setTimeout(0);
  socket.removeAllListeners("error");
  socket.removeAllListeners("timeout");
  return socket;
}
