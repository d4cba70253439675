import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { ROOT } from "./steps.ts";

const LOCK = {
  packages: {
    "": { name: "clone" },
    "node_modules/a": { version: "1.0.0", integrity: "sha512-a" },
    "node_modules/b": { version: "2.0.0", integrity: "sha512-b", optional: true },
  },
};

let clone = "";

/** A fresh clone: no node_modules, and a PATH with nothing but what a test puts there. */
beforeEach(() => {
  clone = realpathSync(mkdtempSync(join(tmpdir(), "flotilla-clone-")));
  mkdirSync(join(clone, "bin"));
  write("package-lock.json", JSON.stringify(LOCK));
  mkdirSync(join(clone, "scripts"));
  copyFileSync(join(ROOT, "scripts/bootstrap.mjs"), join(clone, "scripts/bootstrap.mjs"));
  symlinkSync(process.execPath, join(clone, "bin/node"));
});
afterEach(() => rmSync(clone, { recursive: true, force: true }));

function write(path: string, text: string, mode = 0o644): void {
  mkdirSync(dirname(join(clone, path)), { recursive: true });
  writeFileSync(join(clone, path), text, { mode });
}

/** Programs that do nothing but say in `calls` that they were started. */
function provide(...programs: readonly string[]): void {
  for (const program of programs) {
    const text = `#!/bin/sh\necho "${program} $*" >> "${clone}/calls"\n/bin/mkdir -p node_modules\n`;
    write(`bin/${program}`, text, 0o755);
  }
}

function calls(): readonly string[] {
  const path = join(clone, "calls");
  return existsSync(path) ? readFileSync(path, "utf8").trim().split("\n") : [];
}

function bootstrap(...stepAndArguments: readonly string[]) {
  const script = join(clone, "scripts/bootstrap.mjs");
  const result = spawnSync(process.execPath, [script, ...stepAndArguments], {
    env: { PATH: join(clone, "bin") },
    encoding: "utf8",
  });
  return { status: result.status, stdout: result.stdout, stderr: result.stderr };
}

interface Explained {
  readonly dependencies: { readonly action: string; readonly reason: string };
  readonly system: readonly { readonly program: string; readonly action: string }[];
}

function explain(): Explained {
  return JSON.parse(bootstrap("test", "--explain").stdout) as Explained;
}

test("a fresh clone installs packages; explaining it changes nothing", () => {
  provide("npm", "redis-server", "runsc", "python3");
  expect(explain().dependencies).toEqual({
    action: "install",
    reason: "node_modules is missing",
  });
  expect(calls()).toEqual([]);
  expect(existsSync(join(clone, "node_modules"))).toBe(false);
});

test("the first run installs once, and the second installs nothing", () => {
  provide("npm", "redis-server", "runsc", "python3");
  expect(bootstrap("setup").status).toBe(0);
  expect(calls()).toEqual(["npm ci --no-audit --no-fund --loglevel=error"]);
  expect(bootstrap("setup")).toMatchObject({ status: 0, stderr: "✔ Everything is installed.\n" });
  expect(calls()).toHaveLength(1);
  expect(explain().dependencies.action).toBe("none");
});

test("a changed lock file installs again", () => {
  provide("npm", "redis-server", "runsc", "python3");
  bootstrap("setup");
  write("package-lock.json", JSON.stringify({ packages: {}, changed: true }));
  write("node_modules/.package-lock.json", "{}");
  write("package-lock.json", JSON.stringify({ ...LOCK, changed: true }));
  write("node_modules/.package-lock.json", JSON.stringify({ packages: {} }));
  expect(explain().dependencies.reason).toMatch("does not match");
});

test("packages that npm installed by hand from the same lock are taken as they are", () => {
  const { "node_modules/a": a } = LOCK.packages;
  write("node_modules/.package-lock.json", JSON.stringify({ packages: { "node_modules/a": a } }));
  expect(explain().dependencies.action).toBe("none");
});

test("a stamp of another lock is not believed", () => {
  const sha256 = createHash("sha256").update("other").digest("hex");
  write("node_modules/.flotilla-setup", sha256);
  expect(explain().dependencies.action).toBe("install");
});

test("without apt, missing parts are named together before anything is installed", () => {
  provide("npm");
  const { status, stderr } = bootstrap("quickstart");
  expect(status).toBe(1);
  expect(stderr).toContain("redis-server");
  expect(stderr).toContain("runsc");
  expect(stderr).toContain("apt-get install -y redis-server runsc python3");
  expect(calls()).toEqual([]);
});

test("a failing npm ci is reported with its exit code and leaves no stamp", () => {
  provide("redis-server", "runsc", "python3");
  write("bin/npm", "#!/bin/sh\n/bin/mkdir -p node_modules\nexit 7\n", 0o755);
  const { status, stderr } = bootstrap("setup");
  expect(status).toBe(1);
  expect(stderr).toContain("ended with 7");
  expect(existsSync(join(clone, "node_modules/.flotilla-setup"))).toBe(false);
});

test("a step runs with its arguments and its exit code comes back", () => {
  provide("npm", "redis-server", "runsc", "python3");
  write("scripts/bench.ts", "console.log(process.argv.slice(2).join()); process.exitCode = 5;");
  const { status, stdout } = bootstrap("bench", "calls", "--json");
  expect({ status, stdout }).toEqual({ status: 5, stdout: "calls,--json\n" });
});

test.runIf(process.getuid?.() === 0 && existsSync("/etc/debian_version"))(
  "with apt, missing parts are installed in one go, after one update when the first try fails",
  () => {
    provide("npm", "runsc", "python3");
    const apt = [
      "#!/bin/sh",
      `echo "apt-get $*" >> "${clone}/calls"`,
      `[ "$1" = update ] && { echo > "${clone}/updated"; exit 0; }`,
      `[ -f "${clone}/updated" ] || exit 100`,
      `printf '#!/bin/sh\\n' > "${clone}/bin/redis-server"`,
      `/bin/chmod 755 "${clone}/bin/redis-server"`,
    ];
    write("bin/apt-get", apt.join("\n"), 0o755);
    expect(explain().system.map((part) => part.action)).toEqual([
      "apt-get install",
      "none",
      "none",
      "apt-get install",
    ]);
    const policyBefore = existsSync("/usr/sbin/policy-rc.d");
    expect(bootstrap("setup")).toMatchObject({ status: 0 });
    const install = "apt-get install -y -q --no-install-recommends redis-server";
    expect(calls()).toEqual([
      "npm ci --no-audit --no-fund --loglevel=error",
      install,
      "apt-get update",
      install,
    ]);
    expect(existsSync("/usr/sbin/policy-rc.d")).toBe(policyBefore);
  },
);
