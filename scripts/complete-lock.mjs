/**
 * Completes package-lock.json with optional packages that the registry did not have.
 *
 * npm leaves an optional dependency that it cannot find (a mirror without the builds for other
 * platforms, say) out of the lock file without a word, and then `npm ci` refuses that very
 * file. This adds the missing entries with the version that their dependant names and the
 * platform that their name says; npm skips them on other platforms, and where they fit it
 * fetches them or does without.
 *
 *     node scripts/complete-lock.mjs            adds what is missing
 *     node scripts/complete-lock.mjs --check    exits with 1 when something is missing
 */
import { readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const LOCK_FILE = join(dirname(dirname(fileURLToPath(import.meta.url))), "package-lock.json");
const SYSTEMS = ["win32", "windows", "darwin", "linux", "android", "freebsd", "openharmony"];
/** `arm` last: it is a part of `arm64`. */
const PROCESSORS = ["x64", "arm64", "ia32", "ppc64", "riscv64", "s390x", "loong64", "arm"];

const lock = JSON.parse(readFileSync(LOCK_FILE, "utf8"));
const missing = missingEntries(lock.packages);
const names = Object.keys(missing);
if (process.argv.includes("--check")) {
  for (const name of names) console.log(`${name} is not in package-lock.json`);
  if (names.length > 0) {
    console.log("npm ci would refuse this lock file; run: node scripts/complete-lock.mjs");
    process.exitCode = 1;
  }
} else if (names.length > 0) {
  const all = Object.entries({ ...lock.packages, ...missing });
  lock.packages = Object.fromEntries(all.sort(([a], [b]) => a.localeCompare(b, "en")));
  writeFileSync(LOCK_FILE, `${JSON.stringify(lock, undefined, 2)}\n`);
  console.log(`Added ${names.length} optional packages to package-lock.json.`);
}

/** Optional dependencies of locked packages that the lock file does not resolve. */
function missingEntries(packages) {
  const entries = {};
  for (const [path, entry] of Object.entries(packages)) {
    for (const [name, version] of Object.entries(entry.optionalDependencies ?? {})) {
      if (resolves(packages, path, name)) continue;
      entries[`node_modules/${name}`] = {
        version,
        ...platformOf(name),
        ...(entry.dev === true ? { dev: true } : {}),
        optional: true,
      };
    }
  }
  return entries;
}

/** Node's own search: node_modules beside the package, then beside each parent. */
function resolves(packages, path, name) {
  for (let folder = path; ; folder = parentOf(folder)) {
    if (packages[`${folder}${folder === "" ? "" : "/"}node_modules/${name}`] !== undefined) {
      return true;
    }
    if (folder === "") return false;
  }
}

function parentOf(path) {
  return path.includes("/node_modules/") ? path.slice(0, path.lastIndexOf("/node_modules/")) : "";
}

function platformOf(name) {
  const os = SYSTEMS.find((system) => name.includes(system));
  const cpu = PROCESSORS.find((processor) => name.includes(`-${processor}`));
  if (os === undefined || cpu === undefined) {
    throw new Error(`${name} is missing from package-lock.json, and its name says no platform`);
  }
  return { cpu: [cpu], os: [os === "windows" ? "win32" : os] };
}
