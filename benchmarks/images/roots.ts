/**
 * Three root file systems as users have them: Python with numpy and scipy, Node with packages,
 * and build tools, each over the same base of Debian 12. Made of Debian's packages and the
 * indexes of PyPI and npm that this machine is set up for; what is made is kept and used again.
 */
import { spawnSync } from "node:child_process";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";

export const ROOT_NAMES = ["python", "node", "buildtools"] as const;

const BASE = [
  ..."base-files base-passwd bash coreutils libc-bin dash grep sed tar gzip".split(" "),
  ..."findutils login debianutils diffutils util-linux perl-base ca-certificates".split(" "),
];
const PACKAGES: Readonly<Record<(typeof ROOT_NAMES)[number], readonly string[]>> = {
  python: ["python3", "libstdc++6"],
  node: ["libstdc++6"],
  buildtools: ["build-essential"],
};
const NPM_PACKAGES = ["fastify", "zod", "pino", "undici", "lodash", "typescript"];
const SITE_PACKAGES = "usr/local/lib/python3.11/dist-packages";
const STEP_MS_MAX = 600_000;

/**
 * Makes the roots that are not in `dir` yet.
 *
 * @returns undefined, or why they could not be made.
 */
export function prepareRoots(dir: string, note: (text: string) => void): string | undefined {
  mkdirSync(dir, { recursive: true });
  for (const name of ROOT_NAMES) {
    if (existsSync(join(dir, name))) continue;
    note(`making the ${name} image from packages`);
    const failure = makeRoot(dir, name);
    if (failure === undefined) continue;
    rmSync(join(dir, name), { recursive: true, force: true });
    return `the ${name} image could not be made: ${failure}`;
  }
  return undefined;
}

function makeRoot(dir: string, name: (typeof ROOT_NAMES)[number]): string | undefined {
  const root = join(dir, name);
  const unpacked = unpackPackages(dir, root, [...BASE, ...PACKAGES[name]]);
  if (unpacked !== undefined) return unpacked;
  if (name === "python") {
    const target = join(root, SITE_PACKAGES);
    return failureOf("python3", [
      "-m",
      "pip",
      "install",
      "-q",
      "--target",
      target,
      "numpy",
      "scipy",
    ]);
  }
  if (name !== "node") return undefined;
  mkdirSync(join(root, "usr/local/bin"), { recursive: true });
  copyFileSync(process.execPath, join(root, "usr/local/bin/node"));
  mkdirSync(join(root, "app"));
  writeFileSync(join(root, "app/package.json"), "{}");
  return failureOf("npm", ["install", "--silent", ...NPM_PACKAGES], join(root, "app"));
}

/** Unpacks packages with all that they depend on, as if nothing were installed. */
function unpackPackages(
  dir: string,
  root: string,
  packages: readonly string[],
): string | undefined {
  const debs = join(dir, "debs");
  mkdirSync(join(debs, "partial"), { recursive: true });
  writeFileSync(join(dir, "status"), "");
  const apt = [
    ...["-o", `Dir::State::status=${join(dir, "status")}`, "-o", `Dir::Cache::archives=${debs}`],
    ...["-o", "Debug::NoLocking=1", "-y", "--no-install-recommends"],
  ];
  const fetched = failureOf("apt-get", [...apt, "--download-only", "install", ...packages]);
  if (fetched !== undefined) return fetched;
  const plan = spawnSync("apt-get", [...apt, "-s", "install", ...packages], { encoding: "utf8" });
  for (const part of ["bin", "sbin", "lib", "lib64"]) {
    mkdirSync(join(root, "usr", part), { recursive: true });
    symlinkSync(`usr/${part}`, join(root, part));
  }
  const there = readdirSync(debs);
  for (const [, name = "", version = ""] of plan.stdout.matchAll(/^Inst (\S+) \((\S+) /gm)) {
    const start = `${name}_${version.replaceAll(":", "%3a")}_`;
    const deb = there.find((file) => file.startsWith(start));
    if (deb === undefined) return `${start}… was not fetched`;
    const script = 'dpkg-deb --fsys-tarfile "$1" | tar -x --keep-directory-symlink -C "$2"';
    const failure = failureOf("sh", ["-c", script, "sh", join(debs, deb), root]);
    if (failure !== undefined) return failure;
  }
  return undefined;
}

function failureOf(command: string, args: readonly string[], cwd?: string): string | undefined {
  const run = spawnSync(command, [...args], {
    encoding: "utf8",
    timeout: STEP_MS_MAX,
    ...(cwd === undefined ? {} : { cwd }),
  });
  if (run.error !== undefined) return `${command}: ${run.error.message}`;
  return run.status === 0 ? undefined : `${command}: ${run.stderr.trim().slice(-300)}`;
}
