import { describe, expect, test } from "vitest";
import { isPublicAddress } from "./addresses.ts";
import { isExempt } from "./build-proxy.ts";
import { debianSources, essentialPackages, sourcesText } from "./debian-base.ts";
import {
  hostOf,
  parseAptList,
  parseDeb822,
  readHostIndexes,
  type HostFiles,
} from "./host-indexes.ts";

const host = (files: Readonly<Record<string, string>>, env: HostFiles["env"] = {}): HostFiles => ({
  env,
  read: (path) => files[path],
  list: (path) =>
    Object.keys(files)
      .filter((name) => name.startsWith(`${path}/`))
      .map((name) => name.slice(path.length + 1)),
  home: "/home/me",
});
const DEBIAN = { "/etc/os-release": 'ID=debian\nVERSION_CODENAME="bookworm"\n' };

test("Debian's own archives are taken from lists and from stanzas, others are left out", () => {
  const { apt, trusted } = readHostIndexes(
    host({
      ...DEBIAN,
      "/etc/apt/sources.list": [
        "# deb http://commented.example/debian bookworm main",
        "deb [arch=amd64 signed-by=/k] http://mirror.example:8080/debian bookworm main contrib # x",
        "deb-src http://source.example/debian bookworm main",
        "deb file:/media/cd bookworm main",
      ].join("\n"),
      "/etc/apt/sources.list.d/debian.sources":
        "Types: deb\n# comment\nURIs: http://mirror.example:8080/security\n" +
        "Suites: bookworm-security\nComponents: main\n\n" +
        "Types: deb\nEnabled: no\nURIs: http://off.example\nSuites: bookworm\nComponents: main\n",
      "/etc/apt/sources.list.d/cloud.list": "deb https://cloud.example/apt cloud-sdk-bookworm main",
    }),
  );
  expect(apt).toEqual([
    {
      uri: "http://mirror.example:8080/debian",
      suite: "bookworm",
      components: ["main", "contrib"],
    },
    {
      uri: "http://mirror.example:8080/security",
      suite: "bookworm-security",
      components: ["main"],
    },
  ]);
  expect(trusted).toContain("mirror.example:8080");
  expect(trusted).not.toContain("off.example:80");
  expect(sourcesText(debianSources("trixie", apt))).toBe(
    "deb http://mirror.example:8080/debian trixie main\n" +
      "deb http://mirror.example:8080/debian trixie-updates main\n" +
      "deb http://mirror.example:8080/security trixie-security main\n",
  );
});

test("another system's archives are none of Debian's", () => {
  const files = { "/etc/os-release": "ID=ubuntu\nVERSION_CODENAME=noble\n" };
  const { apt } = readHostIndexes(
    host({ ...files, "/etc/apt/sources.list": "deb http://u.example noble main" }),
  );
  expect(apt).toEqual([]);
  expect(sourcesText(debianSources("bookworm", apt))).toContain("http://deb.debian.org/debian ");
});

test("pip's and npm's indexes come from their variables, else from their files", () => {
  const files = {
    "/etc/pip.conf":
      "[global]\nindex-url = https://a.example/simple\n[install]\nindex-url = https://no\n",
    "/home/me/.config/pip/pip.conf": "[global]\nextra-index-url = https://b.example/simple\n",
    "/home/me/.npmrc": "registry=https://n.example/\n//n.example/:_authToken=secret\n",
  };
  const { variables, trusted } = readHostIndexes(host(files));
  expect(variables).toEqual({
    PIP_INDEX_URL: "https://a.example/simple",
    PIP_EXTRA_INDEX_URL: "https://b.example/simple",
    npm_config_registry: "https://n.example/",
  });
  expect(JSON.stringify(variables)).not.toContain("secret");
  for (const name of ["a.example:443", "b.example:443", "n.example:443", "pypi.org:443"]) {
    expect(trusted).toContain(name);
  }
  const env = {
    PIP_INDEX_URL: "http://e.example:1/simple",
    npm_config_registry: "http://m.example",
  };
  expect(readHostIndexes(host(files, env)).variables).toMatchObject(env);
});

test("proxies of the host are known and may be anywhere", () => {
  const env = {
    http_proxy: "http://10.0.0.1:3128",
    HTTPS_PROXY: "http://u:p@10.0.0.2:3129",
    no_proxy: ".x",
  };
  const found = readHostIndexes(host({}, env));
  expect(found).toMatchObject({
    httpProxy: env.http_proxy,
    httpsProxy: env.HTTPS_PROXY,
    noProxy: ".x",
  });
  expect(found.trusted).toContain("10.0.0.1:3128");
  expect(found.trusted).toContain("10.0.0.2:3129");
});

test("what is no URL names no host", () => {
  expect(hostOf("https://a.example:8443/x")).toEqual(["a.example:8443"]);
  expect(hostOf("http://[fd00::1]/x")).toEqual(["fd00::1:80"]);
  for (const other of ["", "a.example", "file:///x", "ftp://x"]) expect(hostOf(other)).toEqual([]);
});

test("essential packages are found once each, by name", () => {
  const stanza = (name: string, more = ""): string => `Package: ${name}\nVersion: 1\n${more}`;
  const text = [
    stanza("sed", "Essential: yes\n"),
    stanza("jq"),
    stanza("bash", "Essential: yes\n"),
    stanza("sed", "Essential: yes\n"),
  ].join("\n");
  expect(essentialPackages(text)).toEqual(["bash", "sed"]);
  expect(essentialPackages("")).toEqual([]);
});

test("damaged lists give nothing", () => {
  expect(parseAptList("deb\ndeb x\n debx y z a\n")).toEqual([]);
  expect(parseDeb822("Types\n\nURIs: x\n")).toEqual([]);
});

describe("addresses", () => {
  test.each([
    "127.0.0.1",
    "10.1.2.3",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "100.100.100.200",
    "0.0.0.0",
    "224.0.0.1",
    "255.255.255.255",
    "168.63.129.16",
    "::1",
    "::",
    "fe80::1",
    "fd00:ec2::254",
    "::ffff:127.0.0.1",
    "::ffff:a9fe:a9fe",
    "ff02::1",
    "64:ff9b::7f00:1",
    "localhost",
    "",
    "1.2.3",
  ])("%s is not public", (address) => {
    expect(isPublicAddress(address)).toBe(false);
  });
  test.each(["8.8.8.8", "172.32.0.1", "2606:4700::1111", "::ffff:8.8.8.8", "::ffff:808:808"])(
    "%s is public",
    (address) => {
      expect(isPublicAddress(address)).toBe(true);
    },
  );
});

test("no_proxy has names and what is below them", () => {
  expect(isExempt("a.example", "b.example, a.example")).toBe(true);
  expect(isExempt("x.a.example", ".a.example")).toBe(true);
  expect(isExempt("x.a.example", "*.a.example:443")).toBe(true);
  expect(isExempt("xa.example", "a.example")).toBe(false);
  expect(isExempt("a.example", "")).toBe(false);
  expect(isExempt("a.example", "*")).toBe(true);
});
