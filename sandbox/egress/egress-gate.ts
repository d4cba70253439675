/**
 * Decides about one connection and makes it: the host must be allowed, its name is resolved here,
 * and the connection goes to the very address that was checked. A name that resolves to something
 * else a moment later, or to a public and a private address at once, gains nothing.
 */
import { lookup } from "node:dns/promises";
import { BlockList, connect, isIP, isIPv4, type Socket } from "node:net";
import { messageOf } from "../../core/index.ts";
import { addressKindOf, isNumericHost } from "./address.ts";
import { isAllowed, type AllowedHost } from "./allowed-host.ts";

export interface Target {
  readonly host: string;
  readonly port: number;
}

export type Opened =
  | { readonly kind: "open"; readonly socket: Socket; readonly address: string }
  | { readonly kind: "refused"; readonly reason: string }
  /** Allowed, but the other side could not be reached. */
  | { readonly kind: "failed"; readonly reason: string };

export interface EgressGateOptions {
  readonly allowed: readonly AllowedHost[];
  /** Special ranges that the operator of the node opens, such as `10.1.0.0/16`. */
  readonly openRanges?: BlockList;
  /** Addresses of this machine, which are refused although they may be public ones. */
  readonly ownAddresses?: () => readonly string[];
  /** All addresses of a name; the system's resolver by default. */
  readonly resolve?: (name: string) => Promise<readonly string[]>;
}

const CONNECT_MS_MAX = 10_000;

export class EgressGate {
  readonly #options: EgressGateOptions;

  constructor(options: EgressGateOptions) {
    this.#options = options;
  }

  /** Opens a connection, or says why not. Never throws. */
  async open(target: Target): Promise<Opened> {
    const { host, port } = target;
    const what = `${host}:${port}`;
    if (isNumericHost(host)) return refused(`${what} is an address in an unusual spelling`);
    if (!isAllowed(this.#options.allowed, host, port)) {
      return refused(`${what} is not in the function's network.allowHosts`);
    }
    let addresses: readonly string[];
    try {
      addresses = isIP(host) === 0 ? await this.#resolve(host) : [host];
    } catch (error) {
      return { kind: "failed", reason: `${host} cannot be resolved: ${messageOf(error)}` };
    }
    const reachable = addresses.filter((address) => this.#mayReach(address));
    const [first] = reachable;
    if (first === undefined) return this.#refusalOf(what, addresses);
    return connectTo(first, port);
  }

  async #resolve(name: string): Promise<readonly string[]> {
    if (this.#options.resolve !== undefined) return this.#options.resolve(name);
    return (await lookup(name, { all: true, order: "verbatim" })).map(({ address }) => address);
  }

  #mayReach(address: string): boolean {
    const { openRanges, ownAddresses } = this.#options;
    if (openRanges?.check(address, isIPv4(address) ? "ipv4" : "ipv6") === true) return true;
    const isOwn = ownAddresses?.().includes(address) === true;
    return !isOwn && addressKindOf(address).kind === "public";
  }

  #refusalOf(what: string, [address = ""]: readonly string[]): Opened {
    const kind = addressKindOf(address);
    const reason = kind.kind === "special" ? kind.reason : "the node's own";
    return refused(`${what} leads to ${address || "no address"}, which is ${reason}`);
  }
}

/** Ranges that an operator wrote, such as `127.0.0.1` and `10.1.0.0/16`; undefined if one is none. */
export function parseRanges(ranges: readonly string[]): BlockList | undefined {
  const list = new BlockList();
  for (const range of ranges) {
    const [network = "", prefix, ...rest] = range.split("/");
    const version = isIP(network);
    const bits = prefix === undefined ? (version === 4 ? 32 : 128) : Number(prefix);
    const isGood = Number.isInteger(bits) && bits >= 0 && bits <= (version === 4 ? 32 : 128);
    if (version === 0 || rest.length > 0 || !isGood) return undefined;
    list.addSubnet(network, bits, version === 4 ? "ipv4" : "ipv6");
  }
  return list;
}

async function connectTo(address: string, port: number): Promise<Opened> {
  return new Promise((resolve) => {
    const socket = connect({ host: address, port, allowHalfOpen: true });
    const fail = (reason: string): void => {
      socket.destroy();
      resolve({ kind: "failed", reason: `${address}:${port} cannot be reached: ${reason}` });
    };
    const timer = setTimeout(() => fail("no answer"), CONNECT_MS_MAX);
    socket.once("error", (error) => {
      clearTimeout(timer);
      fail(error.message);
    });
    socket.once("connect", () => {
      clearTimeout(timer);
      socket.removeAllListeners("error");
      resolve({ kind: "open", socket, address });
    });
  });
}

function refused(reason: string): Opened {
  return { kind: "refused", reason };
}
