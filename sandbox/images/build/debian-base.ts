/**
 * The Debian base, made of Debian's packages.
 *
 * apt of this host, with a state of its own, chooses and downloads the packages: the essential
 * ones, apt and certificates, from the archives that the host is configured with, their
 * signatures checked. They are unpacked here and then installed by dpkg inside gVisor, so no script
 * of a package ever runs on the host. Source: the stages of debootstrap(8) and mmdebstrap(1).
 */
import { spawn } from "node:child_process";
import { copyFile, link, mkdir, readdir, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { DebianRelease } from "../../../sdk/protocol/index.ts";
import { messageOf, PlatformError } from "../../../core/index.ts";
import { LineSplitter } from "../../agent/line-splitter.ts";
import { awayError, wrongImage } from "../oci/image-error.ts";
import type { AptSource, HostIndexes } from "./host-indexes.ts";
import { INPUTS_DIR, type StepRunner } from "./run-step.ts";

export interface DebianBase {
  readonly release: DebianRelease;
  /** Folder of the build; the base is made in `<work>/tree`. */
  readonly work: string;
  readonly indexes: HostIndexes;
  readonly runner: StepRunner;
  readonly onLine: (text: string) => void;
  readonly signal: AbortSignal;
}

const DEFAULT_URI = "http://deb.debian.org/debian";
const DEFAULT_SECURITY_URI = "http://deb.debian.org/debian-security";
const EXTRA_PACKAGES = ["apt", "ca-certificates", "usr-is-merged"];
const MERGED = ["bin", "sbin", "lib", "lib64"];
/** Files that no program needs; dpkg leaves them out of what is installed later, too. */
const DPKG_SETTINGS = `force-unsafe-io
path-exclude /usr/share/man/*
path-exclude /usr/share/info/*
path-exclude /usr/share/locale/*
path-exclude /usr/share/doc/*
path-include /usr/share/doc/*/copyright
`;
const APT_SETTINGS = `APT::Sandbox::User "root";
APT::Install-Recommends "false";
Dpkg::Use-Pty "0";
Acquire::Languages "none";
Acquire::Retries "3";
`;
const LINE_CHARACTERS_MAX = 2_000;
const LAST_LINES = 15;

/** Where a release is taken from: as this host takes it, or, for another release, its mirrors. */
export function debianSources(
  release: DebianRelease,
  apt: readonly AptSource[],
): readonly AptSource[] {
  const main = ["main"];
  const uriOf = (isWanted: (source: AptSource) => boolean, otherwise: string): string =>
    apt.find(isWanted)?.uri ?? otherwise;
  const isSecurity = ({ suite }: AptSource): boolean => suite.endsWith("-security");
  const uri = uriOf((source) => !source.suite.includes("-"), DEFAULT_URI);
  const security = uriOf(isSecurity, DEFAULT_SECURITY_URI);
  return [
    { uri, suite: release, components: main },
    { uri, suite: `${release}-updates`, components: main },
    { uri: security, suite: `${release}-security`, components: main },
  ];
}

/** Lines of a `sources.list`. */
export function sourcesText(sources: readonly AptSource[]): string {
  return sources
    .map(({ uri, suite, components }) => `deb ${uri} ${suite} ${components.join(" ")}\n`)
    .join("");
}

/** Makes the base. @throws PlatformError */
export async function makeDebianBase(base: DebianBase): Promise<void> {
  const { work, release, indexes, onLine, signal } = base;
  const tree = join(work, "tree");
  const state = join(work, "apt");
  const debs = join(work, "debs");
  for (const folder of ["lists/partial", "archives/partial"]) {
    await mkdir(join(state, folder), { recursive: true });
  }
  await mkdir(tree, { recursive: true });
  await mkdir(debs);
  const sources = sourcesText(debianSources(release, indexes.apt));
  await writeFile(join(state, "sources.list"), sources);
  await writeFile(join(state, "status"), "");
  const host = new HostCommands(state, indexes, onLine, signal);
  await host.apt("update");
  const essential = essentialPackages(await host.output("apt-cache", "dumpavail"));
  await host.apt("install", "-y", "--download-only", ...essential, ...EXTRA_PACKAGES);
  const archives = join(state, "archives");
  const names = (await readdir(archives)).filter((name) => name.endsWith(".deb"));
  for (const name of names) await link(join(archives, name), join(debs, name));
  onLine(`unpacking ${names.length} packages`);
  await prepareTree(tree);
  for (const name of names) await host.unpack(join(debs, name), tree);
  await configureTree(tree, sources);
  await install(base, debs);
  await rm(state, { recursive: true, force: true });
  await rm(debs, { recursive: true, force: true });
}

/** Names of the packages that every Debian has. */
export function essentialPackages(available: string): readonly string[] {
  const names = available.split(/\n\n+/).flatMap((stanza) => {
    const isEssential = /^Essential: yes$/m.test(stanza);
    const name = /^Package: (\S+)$/m.exec(stanza)?.[1];
    return isEssential && name !== undefined ? [name] : [];
  });
  return [...new Set(names)].sort();
}

async function prepareTree(tree: string): Promise<void> {
  for (const folder of MERGED) {
    await mkdir(join(tree, "usr", folder), { recursive: true });
    await symlink(`usr/${folder}`, join(tree, folder));
  }
}

async function configureTree(tree: string, sources: string): Promise<void> {
  for (const folder of ["var/lib/dpkg/info", "var/lib/dpkg/updates", "etc/dpkg/dpkg.cfg.d"]) {
    await mkdir(join(tree, folder), { recursive: true });
  }
  for (const folder of ["man", "info", "locale"]) {
    await rm(join(tree, "usr/share", folder), { recursive: true, force: true });
  }
  await writeFile(join(tree, "var/lib/dpkg/status"), "");
  await writeFile(join(tree, "etc/dpkg/dpkg.cfg.d/flotilla"), DPKG_SETTINGS);
  await writeFile(join(tree, "etc/apt/apt.conf.d/90flotilla"), APT_SETTINGS);
  await writeFile(join(tree, "etc/apt/sources.list"), sources);
  await writeFile(join(tree, "etc/hostname"), "localhost\n");
  await writeFile(join(tree, "etc/hosts"), "127.0.0.1 localhost\n");
  // Installation scripts need users before the package that brings them is set up.
  const masters = join(tree, "usr/share/base-passwd");
  await copyFile(join(masters, "passwd.master"), join(tree, "etc/passwd"));
  await copyFile(join(masters, "group.master"), join(tree, "etc/group"));
}

async function install({ work, runner, onLine, signal }: DebianBase, debs: string): Promise<void> {
  const script = `dpkg --install --force-depends --force-confold ${INPUTS_DIR}/debs/*.deb
rm -rf /var/log/dpkg.log /var/cache/debconf/*-old /var/lib/dpkg/*-old`;
  const last: string[] = [];
  const code = await runner.run({
    lower: [],
    work,
    args: ["/bin/sh", "-e", "-c", script],
    env: {
      PATH: "/usr/sbin:/usr/bin:/sbin:/bin",
      DEBIAN_FRONTEND: "noninteractive",
      HOME: "/root",
    },
    workdir: "/",
    folders: { debs },
    onLine: (line) => {
      last.push(line);
      if (last.length > LAST_LINES) last.shift();
      onLine(line);
    },
    signal,
  });
  if (code === 0) return;
  throw wrongImage(`installing the Debian base ended with ${code}: ${last.join(" | ")}`);
}

/** apt and dpkg of this host, kept to a folder of their own. */
class HostCommands {
  readonly #options: readonly string[];
  readonly #env: NodeJS.ProcessEnv;
  readonly #onLine: (text: string) => void;
  readonly #signal: AbortSignal;

  constructor(
    state: string,
    { httpProxy, httpsProxy, noProxy }: HostIndexes,
    onLine: (text: string) => void,
    signal: AbortSignal,
  ) {
    const settings = {
      "Dir::Etc::SourceList": join(state, "sources.list"),
      "Dir::Etc::SourceParts": "/dev/null",
      "Dir::Etc::Preferences": "/dev/null",
      "Dir::Etc::PreferencesParts": "/dev/null",
      "Dir::State::Lists": join(state, "lists"),
      "Dir::State::status": join(state, "status"),
      "Dir::Cache": state,
      "Dir::Cache::Archives": join(state, "archives"),
      "APT::Sandbox::User": "root",
      "APT::Install-Recommends": "false",
      "Acquire::Languages": "none",
      "Acquire::Retries": "3",
      "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled": "false",
      // What hosts in containers do after each installation is not for this folder.
      "APT::Keep-Downloaded-Packages": "true",
    };
    this.#options = Object.entries(settings).flatMap(([name, value]) => ["-o", `${name}=${value}`]);
    this.#env = {
      PATH: process.env["PATH"],
      LANG: "C",
      ...(httpProxy === undefined ? {} : { http_proxy: httpProxy }),
      ...(httpsProxy === undefined ? {} : { https_proxy: httpsProxy }),
      ...(noProxy === "" ? {} : { no_proxy: noProxy }),
    };
    this.#onLine = onLine;
    this.#signal = signal;
  }

  async apt(...args: readonly string[]): Promise<void> {
    await this.#run("apt-get", ["-q", ...this.#options, ...args], true);
  }

  async output(program: string, ...args: readonly string[]): Promise<string> {
    return this.#run(program, [...this.#options, ...args], false);
  }

  async unpack(archive: string, tree: string): Promise<void> {
    const script = 'dpkg-deb --fsys-tarfile "$1" | tar -C "$2" -x --keep-directory-symlink';
    await this.#run("sh", ["-e", "-c", script, "unpack", archive, tree], true);
  }

  async #run(program: string, args: readonly string[], isTold: boolean): Promise<string> {
    const child = spawn(program, args, {
      env: this.#env,
      stdio: ["ignore", "pipe", "pipe"],
      signal: this.#signal,
    });
    const kept: string[] = [];
    const last: string[] = [];
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      if (!isTold) kept.push(text);
    });
    for (const stream of isTold ? [child.stdout, child.stderr] : [child.stderr]) {
      const splitter = new LineSplitter(LINE_CHARACTERS_MAX);
      stream.on("data", (chunk: Buffer | string) => {
        for (const line of splitter.push(Buffer.from(chunk))) {
          last.push(line);
          if (last.length > LAST_LINES) last.shift();
          if (isTold) this.#onLine(line);
        }
      });
    }
    const code = await new Promise<number>((resolve, reject) => {
      child.once("error", reject);
      child.once("close", (exitCode) => resolve(exitCode ?? 1));
    }).catch((error: unknown) => {
      this.#signal.throwIfAborted();
      throw new PlatformError(`cannot start ${program}: ${messageOf(error)}`, {
        code: "unavailable",
        retryable: false,
        cause: error,
      });
    });
    if (code === 0) return kept.join("");
    throw awayError(`${program} ended with ${code}: ${last.join(" | ")}`);
  }
}
