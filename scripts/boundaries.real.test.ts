import { spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { ROOT } from "./steps.ts";

let repository = "";
beforeEach(() => {
  repository = mkdtempSync(join(tmpdir(), "flotilla-boundaries-"));
  for (const file of [".dependency-cruiser.cjs", "tsconfig.json"]) {
    copyFileSync(join(ROOT, file), join(repository, file));
  }
});
afterEach(() => rmSync(repository, { recursive: true, force: true }));

/** Names of the rules that a repository with these files breaks. */
function broken(files: Readonly<Record<string, readonly string[]>>): readonly string[] {
  for (const [path, imports] of Object.entries(files)) {
    mkdirSync(dirname(join(repository, path)), { recursive: true });
    const lines = imports.map((target) => `import "${target}";`);
    writeFileSync(join(repository, path), `${lines.join("\n")}\nexport {};\n`);
  }
  const depcruise = join(ROOT, "node_modules/dependency-cruiser/bin/dependency-cruiser.mjs");
  const command = [depcruise, "--config", ".dependency-cruiser.cjs", "--output-type", "json", "."];
  const { stdout, stderr } = spawnSync(process.execPath, command, {
    cwd: repository,
    encoding: "utf8",
  });
  expect(stderr).toBe("");
  const report = JSON.parse(stdout) as {
    readonly summary: { readonly violations: readonly { readonly rule: { name: string } }[] };
  };
  return [...new Set(report.summary.violations.map((violation) => violation.rule.name))].sort();
}

test("arrows of the table are allowed through front doors", () => {
  const files = {
    "core/index.ts": [],
    "sdk/protocol/index.ts": [],
    "providers/index.ts": ["../core/index.ts"],
    "providers/registry.ts": ["../core/index.ts"],
    "providers/fake/index.ts": ["../../core/index.ts"],
    "sandbox/index.ts": ["../core/index.ts", "../sdk/protocol/index.ts"],
    "server/a.ts": [
      "../providers/registry.ts",
      "../providers/fake/index.ts",
      "../sandbox/index.ts",
      "../sdk/protocol/index.ts",
    ],
  };
  expect(broken(files)).toEqual([]);
});

test.each([
  ["arrows-of-core", { "core/a.ts": ["../optimizer/index.ts"], "optimizer/index.ts": [] }],
  ["arrows-of-optimizer", { "optimizer/a.ts": ["../pool/index.ts"], "pool/index.ts": [] }],
  ["arrows-of-pool", { "pool/a.ts": ["../server/index.ts"], "server/index.ts": [] }],
  ["arrows-of-sdk", { "sdk/a.ts": ["../core/index.ts"], "core/index.ts": [] }],
  ["arrows-of-server", { "server/a.ts": ["../sdk/index.ts"], "sdk/index.ts": [] }],
  ["front-door-of-core", { "pool/a.ts": ["../core/rng.ts"], "core/rng.ts": [] }],
  ["no-cycles", { "core/a.ts": ["./b.ts"], "core/b.ts": ["./a.ts"] }],
  ["resolvable", { "core/a.ts": ["./nothing.ts"] }],
] as const)("%s is reported", (rule, files) => {
  expect(broken(files)).toContain(rule);
});
