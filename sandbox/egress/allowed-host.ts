/** Which hosts a container may reach: patterns such as `api.example.com`, `*.example.com:8443`, `*`. */
import { isIP } from "node:net";
import { isNumericHost } from "./address.ts";

export interface AllowedHost {
  /** Lower case. Empty with `isSuffix`: every host. */
  readonly name: string;
  /** Names below `name` are meant, not `name` itself. */
  readonly isSuffix: boolean;
  readonly ports: readonly number[];
}

/** Ports of a pattern that names none: HTTP and HTTPS. */
const DEFAULT_PORTS: readonly number[] = [80, 443];
const PORT_MAX = 65_535;
const NAME =
  /^(?=.{1,253}$)([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*$/;

/** A pattern in its parts; undefined when it is none. IPv6 addresses stand in brackets. */
export function parseAllowedHost(pattern: string): AllowedHost | undefined {
  const parts = /^(\[[0-9a-f:.]+\]|[^:[\]]+)(?::(\d{1,5}))?$/i.exec(pattern);
  const host = parts?.[1]?.toLowerCase();
  if (host === undefined) return undefined;
  const ports = parts?.[2] === undefined ? DEFAULT_PORTS : [Number(parts[2])];
  if (ports.some((port) => port < 1 || port > PORT_MAX)) return undefined;
  if (host === "*") return { name: "", isSuffix: true, ports };
  const isSuffix = host.startsWith("*.");
  const name = isSuffix ? host.slice(2) : host.replace(/^\[|\]$/g, "");
  const isGood = isIP(name) !== 0 ? !isSuffix : NAME.test(name) && !isNumericHost(name);
  return isGood ? { name, isSuffix, ports } : undefined;
}

/** Whether one of `allowed` covers a host, written as a name or an address. */
export function isAllowed(allowed: readonly AllowedHost[], host: string, port: number): boolean {
  const name = host.toLowerCase().replace(/\.$/, "");
  return allowed.some((one) => {
    if (!one.ports.includes(port)) return false;
    if (one.isSuffix) return one.name === "" || name.endsWith(`.${one.name}`);
    return one.name === name;
  });
}
