/** The TypeScript in the documents compiles as a user's program would. */
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ROOT } from "./steps.ts";

const DOCS = join(ROOT, "docs");
let dir: string;
beforeAll(() => {
  // Below the repository, where "flotilla" is found.
  const cache = join(ROOT, "node_modules", ".cache");
  mkdirSync(cache, { recursive: true });
  dir = mkdtempSync(join(cache, "doc-blocks-"));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

/** The `ts` blocks of a page, each with the line it begins on. */
function blocksOf(page: string): readonly { readonly line: number; readonly code: string }[] {
  const text = readFileSync(page, "utf8");
  return [...text.matchAll(/^```ts\n(.*?)^```$/gms)].map(({ index, 1: code = "" }) => ({
    line: text.slice(0, index).split("\n").length,
    code,
  }));
}

test("every block in docs/ compiles", () => {
  const pages = readdirSync(DOCS).filter((name) => name.endsWith(".md"));
  const files = pages.flatMap((page) =>
    blocksOf(join(DOCS, page)).map(({ line, code }) => {
      const file = join(dir, `${basename(page, ".md")}-${line}.ts`);
      writeFileSync(file, `${code}\nexport {};\n`);
      return file;
    }),
  );
  expect(files.length).toBeGreaterThan(0);
  const config = join(dir, "tsconfig.json");
  const compilerOptions = { noEmit: true, skipLibCheck: true, rootDir: ROOT };
  writeFileSync(
    config,
    JSON.stringify({ extends: join(ROOT, "tsconfig.json"), compilerOptions, files, include: [] }),
  );
  const { status, stdout } = spawnSync(
    process.execPath,
    [join(ROOT, "node_modules/typescript/bin/tsc"), "-p", config],
    {
      encoding: "utf8",
      cwd: ROOT,
    },
  );
  expect(stdout).toBe("");
  expect(status).toBe(0);
});
