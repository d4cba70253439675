/**
 * The code in the documents: TypeScript compiles as a user's program would, and every block runs
 * or is read by what reads it, page by page, on one platform (`doc-blocks/run-blocks.ts`).
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { AppList } from "../sdk/protocol/index.ts";
import { TestPlatform } from "../tests/support/platform.ts";
import { blocksOf, type DocBlock } from "./doc-blocks/read-blocks.ts";
import { runPage, type BlockOutcome } from "./doc-blocks/run-page.ts";
import { ROOT } from "./steps.ts";

const PAGES: ReadonlyMap<string, readonly DocBlock[]> = new Map(
  [join(ROOT, "README.md"), ...pagesIn("docs")].map((path) => {
    const page = path.slice(path.lastIndexOf("/") + 1);
    return [page, blocksOf(path, page)];
  }),
);
const platform = new TestPlatform();
const outcomes: BlockOutcome[] = [];
let compileDir: string;

beforeAll(async () => {
  // Below the repository, where "flotilla" is found.
  const cache = join(ROOT, "node_modules", ".cache");
  mkdirSync(cache, { recursive: true });
  compileDir = mkdtempSync(join(cache, "doc-blocks-"));
  await platform.start(["--local-gpus", "H100:1", "--emulated-clouds", "--emulated-boot-ms", "1"]);
});

afterAll(async () => {
  rmSync(compileDir, { recursive: true, force: true });
  expect(await platform.close()).toEqual({ processes: [], mounts: 0 });
  const counts = Object.entries(Object.groupBy(outcomes, (outcome) => outcome));
  const told = counts.map(([outcome, of]) => `${of.length} ${outcome}`);
  process.stderr.write(`blocks of the documents: ${told.join(", ")}\n`);
});

/** So that a page's containers are not in the next one's way. */
async function stopApps(): Promise<void> {
  const { apps } = await platform.get<AppList>("/v1/apps");
  for (const { appId, state } of apps) {
    if (state === "running") platform.cli("app", "stop", appId);
  }
}

function pagesIn(folder: string): string[] {
  const names = readdirSync(join(ROOT, folder)).filter((name) => name.endsWith(".md"));
  return names.map((name) => join(ROOT, folder, name));
}

test("every TypeScript block compiles", () => {
  const blocks = [...PAGES.values()].flat().filter(({ language }) => language === "ts");
  const files = blocks.map(({ at, code }) => {
    const file = join(compileDir, `${at.replace(".md:", "-")}.ts`);
    writeFileSync(file, `${code}\nexport {};\n`);
    return file;
  });
  expect(files.length).toBeGreaterThan(0);
  const config = join(compileDir, "tsconfig.json");
  const compilerOptions = { noEmit: true, skipLibCheck: true, rootDir: ROOT };
  writeFileSync(
    config,
    JSON.stringify({ extends: join(ROOT, "tsconfig.json"), compilerOptions, files, include: [] }),
  );
  const { status, stdout } = spawnSync(
    process.execPath,
    [join(ROOT, "node_modules/typescript/bin/tsc"), "-p", config],
    { encoding: "utf8", cwd: ROOT },
  );
  expect(stdout).toBe("");
  expect(status).toBe(0);
});

test("a block that another test runs names a test that is there", () => {
  const tests = [...PAGES.values()].flat().flatMap(({ notes }) => notes["run-by"] ?? []);
  expect(tests.filter((path) => !existsSync(join(ROOT, path)))).toEqual([]);
});

test.each([...PAGES.entries()].filter(([, blocks]) => blocks.length > 0))(
  "the blocks of %s run",
  async (page, blocks) => {
    try {
      outcomes.push(...runPage({ page, blocks, platform }));
    } finally {
      await stopApps();
    }
  },
);
