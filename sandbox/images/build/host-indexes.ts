/**
 * The package indexes and proxies that this host is configured with, for builds to use.
 *
 * Read from where apt, pip and npm read them: their environment variables first, then their files.
 * What these files hold beside addresses (such as npm's tokens) is not passed on; a password that
 * is part of an address is, and build steps can read it.
 */
import { readdirSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { parseEnv } from "node:util";
import type { TrustedHosts } from "./addresses.ts";

/** One place of Debian packages. */
export interface AptSource {
  readonly uri: string;
  readonly suite: string;
  readonly components: readonly string[];
}

export interface HostIndexes {
  /** Debian's own archives that this host uses, by suite; empty where it is no Debian. */
  readonly apt: readonly AptSource[];
  /** Variables by which pip, npm and others find their indexes. */
  readonly variables: Readonly<Record<string, string>>;
  /** Proxies of this host, for connections of the builder. */
  readonly httpProxy: string | undefined;
  readonly httpsProxy: string | undefined;
  readonly noProxy: string;
  /** Hosts that may be reached wherever they are, because the host's owner configured them. */
  readonly trusted: TrustedHosts;
  /** Certificates that programs of this host trust; absent where there is no such file. */
  readonly certificates: Uint8Array | undefined;
}

/** What `readHostIndexes` looks at; this process and its machine by default. */
export interface HostFiles {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Text of a file; undefined when it cannot be read. */
  readonly read: (path: string) => string | undefined;
  /** Names in a folder. */
  readonly list: (path: string) => readonly string[];
  readonly home: string;
}

const DEFAULT_URLS = [
  "http://deb.debian.org",
  "https://pypi.org",
  "https://files.pythonhosted.org",
  "https://registry.npmjs.org",
];
const CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt";

export function hostFiles(env: HostFiles["env"]): HostFiles {
  const orUndefined = <T>(read: () => T): T | undefined => {
    try {
      return read();
    } catch {
      // Not there, or not for us: then nothing is configured by it.
      return undefined;
    }
  };
  return {
    env,
    read: (path) => orUndefined(() => readFileSync(path, "utf8")),
    list: (path) => orUndefined(() => readdirSync(path).sort()) ?? [],
    home: homedir(),
  };
}

/** Reads the configuration anew: it is part of what a step's layer is known by. */
export function readHostIndexes(files: HostFiles): HostIndexes {
  const { env } = files;
  const apt = aptSources(files);
  const variables = { ...pipVariables(files), ...npmVariables(files) };
  const lower = (name: string): string | undefined => env[name] ?? env[name.toUpperCase()];
  const httpProxy = lower("http_proxy");
  const httpsProxy = lower("https_proxy") ?? httpProxy;
  const urls = [
    ...DEFAULT_URLS,
    ...apt.map(({ uri }) => uri),
    ...Object.values(variables).flatMap((value) => value.split(/\s+/)),
    ...[httpProxy, httpsProxy].filter((proxy) => proxy !== undefined),
  ];
  const certificates = files.read(env["SSL_CERT_FILE"] ?? CERTIFICATES);
  return {
    apt,
    variables,
    httpProxy,
    httpsProxy,
    noProxy: lower("no_proxy") ?? "",
    trusted: new Set(urls.flatMap(hostOf)),
    certificates: certificates === undefined ? undefined : new TextEncoder().encode(certificates),
  };
}

/** `name:port` of a URL; nothing for what is none. */
export function hostOf(url: string): readonly string[] {
  if (!URL.canParse(url)) return [];
  const { hostname, port, protocol } = new URL(url);
  if (protocol !== "http:" && protocol !== "https:") return [];
  const number = port === "" ? (protocol === "https:" ? "443" : "80") : port;
  return [`${hostname.replace(/^\[|\]$/g, "")}:${number}`];
}

/** Those of Debian itself; other archives would need keys that the image does not have. */
function aptSources(files: HostFiles): readonly AptSource[] {
  const system = parseEnv(files.read("/etc/os-release") ?? "");
  const codename = system["VERSION_CODENAME"];
  if (system["ID"] !== "debian" || codename === undefined) return [];
  const folder = "/etc/apt/sources.list.d";
  const names = files.list(folder);
  const lists = ["/etc/apt/sources.list", ...pathsOf(folder, names, ".list")];
  const sources = [
    ...lists.flatMap((path) => parseAptList(files.read(path) ?? "")),
    ...pathsOf(folder, names, ".sources").flatMap((path) => parseDeb822(files.read(path) ?? "")),
  ];
  return sources.filter(
    ({ suite, components, uri }) =>
      (suite === codename || suite.startsWith(`${codename}-`)) &&
      components.includes("main") &&
      /^https?:/.test(uri),
  );
}

function pathsOf(folder: string, names: readonly string[], ending: string): readonly string[] {
  return names.filter((name) => name.endsWith(ending)).map((name) => join(folder, name));
}

/** Lines such as `deb [signed-by=…] http://deb.debian.org/debian bookworm main`. */
export function parseAptList(text: string): readonly AptSource[] {
  return text.split("\n").flatMap((line) => {
    const match = /^\s*deb\s+(?:\[[^\]]*\]\s+)?(\S+)\s+(\S+)\s+([^#]+)/.exec(line);
    if (match === null) return [];
    const [, uri = "", suite = "", components = ""] = match;
    return [{ uri, suite, components: components.trim().split(/\s+/) }];
  });
}

/** Stanzas of `Field: values`, those that are enabled and have binary packages. */
export function parseDeb822(text: string): readonly AptSource[] {
  return text.split(/\n\s*\n/).flatMap((stanza) => {
    const fields = new Map<string, readonly string[]>();
    const lines = stanza.split("\n").filter((line) => !line.startsWith("#"));
    for (const [, name = "", value = ""] of lines
      .join("\n")
      .matchAll(/^([\w-]+):((?:.|\n\s)*)$/gm)) {
      fields.set(name.toLowerCase(), value.trim().split(/\s+/));
    }
    const isOn = fields.get("enabled")?.[0]?.toLowerCase() !== "no";
    if (!isOn || fields.get("types")?.includes("deb") !== true) return [];
    const components = fields.get("components") ?? [];
    return (fields.get("uris") ?? []).flatMap((uri) =>
      (fields.get("suites") ?? []).map((suite) => ({ uri, suite, components })),
    );
  });
}

const PIP_SETTINGS = ["index-url", "extra-index-url", "trusted-host"] as const;

function pipVariables({ env, read, home }: HostFiles): Readonly<Record<string, string>> {
  const own = env["PIP_CONFIG_FILE"];
  const paths = [
    "/etc/pip.conf",
    join(home, ".pip/pip.conf"),
    join(home, ".config/pip/pip.conf"),
    ...(own === undefined ? [] : [own]),
  ];
  const settings = Object.assign(
    {},
    ...paths.map((path) => parseIni(read(path) ?? "")),
  ) as Readonly<Record<string, string>>;
  return Object.fromEntries(
    PIP_SETTINGS.flatMap((setting) => {
      const name = `PIP_${setting.toUpperCase().replaceAll("-", "_")}`;
      const value = env[name] ?? settings[setting];
      return value === undefined ? [] : [[name, value] as const];
    }),
  );
}

function npmVariables({ env, read, home }: HostFiles): Readonly<Record<string, string>> {
  const paths = ["/etc/npmrc", "/usr/etc/npmrc", join(home, ".npmrc")];
  const files = paths.map((path) => parseIni(read(path) ?? "")["registry"]);
  const value =
    env["npm_config_registry"] ??
    env["NPM_CONFIG_REGISTRY"] ??
    files.filter((one) => one !== undefined).at(-1);
  return value === undefined ? {} : { npm_config_registry: value };
}

/** `name = value` lines, of the section `[global]` or of none. */
function parseIni(text: string): Readonly<Record<string, string>> {
  const values = new Map<string, string>();
  let isGlobal = true;
  for (const line of text.split("\n")) {
    const section = /^\s*\[(.*)\]\s*$/.exec(line)?.[1];
    if (section !== undefined) isGlobal = section === "global";
    const match = /^\s*([\w-]+)\s*[=:]\s*(.*?)\s*$/.exec(line);
    if (isGlobal && match !== null) values.set(match[1] ?? "", match[2] ?? "");
  }
  return Object.fromEntries(values);
}
