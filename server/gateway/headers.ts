/** Headers of requests and responses as they pass the gateway. Pure. */
import type { IncomingMessage } from "node:http";
import type { HeaderPairs } from "../../sandbox/index.ts";

/** Carries a token of the platform where `Authorization` is the function's own. */
export const TOKEN_HEADER = "x-flotilla-token";
/** On every response: the call that it is the answer of. */
export const CALL_HEADER = "x-flotilla-call";

/** About one connection and not about the message (RFC 9110, section 7.6.1). */
const HOP_BY_HOP: ReadonlySet<string> = new Set([
  "connection",
  "keep-alive",
  "proxy-connection",
  "proxy-authenticate",
  "proxy-authorization",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

/** What a request to a function says about itself. */
export interface RequestFacts {
  readonly rawHeaders: readonly string[];
  readonly remoteAddress: string;
  /** What the function does not see of the path. */
  readonly prefix: string;
  /** Names of headers that are for the platform alone. */
  readonly hidden: readonly string[];
  /** The protocol that the client asks to go on with, such as `websocket`. */
  readonly upgrade?: string;
}

/** The headers with which a request goes to its function. */
export function requestHeaders(facts: RequestFacts): HeaderPairs {
  const { prefix, remoteAddress, upgrade, hidden } = facts;
  const given = pairsOf(facts.rawHeaders);
  const set = new Map([
    ["x-forwarded-for", [...valuesOf(given, "x-forwarded-for"), remoteAddress].join(", ")],
    ["x-forwarded-host", firstOf(given, "host") ?? "localhost"],
    ["x-forwarded-proto", protocolOf(given)],
    ["x-forwarded-prefix", prefix],
  ]);
  const kept = withoutHops(given, [...set.keys(), ...hidden]);
  const again =
    upgrade === undefined
      ? []
      : [
          ["connection", "Upgrade"],
          ["upgrade", upgrade],
        ];
  return [...kept, ...set, ...(again as [string, string][])];
}

/** The headers with which a response goes to its client. */
export function responseHeaders(headers: HeaderPairs, callId: string): HeaderPairs {
  return [...withoutHops(headers, [CALL_HEADER]), [CALL_HEADER, callId]];
}

/** The URL of a request as its function sees it: without the gateway's prefix. */
export function urlBehind(
  { headers, rawHeaders }: Pick<IncomingMessage, "headers" | "rawHeaders">,
  path: string,
): string {
  const protocol = protocolOf(pairsOf(rawHeaders));
  const host = /^[A-Za-z0-9.:[\]_-]+$/.test(headers.host ?? "") ? headers.host : "localhost";
  // The slash keeps a path such as `//evil` from being taken for a host.
  const url = URL.parse(`${protocol}://${host}/`);
  return `${url?.origin ?? `${protocol}://localhost`}/${path.slice(1)}`;
}

function protocolOf(headers: HeaderPairs): "http" | "https" {
  return firstOf(headers, "x-forwarded-proto") === "https" ? "https" : "http";
}

function withoutHops(headers: HeaderPairs, others: readonly string[]): HeaderPairs {
  const named = valuesOf(headers, "connection").flatMap((value) => value.split(","));
  const dropped = new Set([...HOP_BY_HOP, ...others, ...named.map((name) => lower(name.trim()))]);
  return headers.filter(([name]) => !dropped.has(lower(name)));
}

function pairsOf(rawHeaders: readonly string[]): HeaderPairs {
  const pairs: [string, string][] = [];
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    pairs.push([rawHeaders[index] ?? "", rawHeaders[index + 1] ?? ""]);
  }
  return pairs;
}

function valuesOf(headers: HeaderPairs, wanted: string): string[] {
  return headers.filter(([name]) => lower(name) === wanted).map(([, value]) => value);
}

function firstOf(headers: HeaderPairs, wanted: string): string | undefined {
  return valuesOf(headers, wanted)[0];
}

function lower(text: string): string {
  return text.toLowerCase();
}
