/** docs/errors/ has a page for each code that anything here can show, and says what is true. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { ERROR_CODES, PlatformError } from "../core/index.ts";
import { refusalOf } from "../sdk/client/problems.ts";
import { exitCodeOf } from "../sdk/commands/exit-codes.ts";
import { CallError } from "../sdk/errors.ts";
import { callErrorCode } from "../server/http/wire-schemas.ts";
import { problemOf } from "../server/http/problem.ts";
import { ROOT } from "./steps.ts";

const PAGES = join(ROOT, "docs/errors");
const pages = readdirSync(PAGES)
  .filter((name) => name.endsWith(".md") && name !== "README.md")
  .map((name) => name.slice(0, -".md".length));

/** Codes that are written out in the SDK, where its errors are made. */
function codesOfSdk(): readonly string[] {
  const files = readdirSync(join(ROOT, "sdk"), { recursive: true, encoding: "utf8" }).filter(
    (file) =>
      file.endsWith(".ts") && !file.endsWith(".test.ts") && !/^(dist|node_modules)\b/.test(file),
  );
  // A build's failure gets its code where the build runs and comes out of the SDK as it is.
  const paths = [...files.map((file) => join("sdk", file)), "server/images/image-service.ts"];
  const texts = paths.map((path) => readFileSync(join(ROOT, path), "utf8"));
  return texts.flatMap((text) =>
    [...text.matchAll(/(?<!readonly )\bcode: "([a-z_]+)"/g)].map(([, code = ""]) => code),
  );
}

/** One value of a page's table of facts. */
function factOf(code: string, fact: string): string {
  const text = readFileSync(join(PAGES, `${code}.md`), "utf8");
  const cell = new RegExp(`^\\| ${fact} +\\| ([^|]*?) +\\|$`, "m").exec(text)?.[1];
  if (cell === undefined) throw new Error(`docs/errors/${code}.md does not state: ${fact}`);
  return cell;
}

test("each code has a page, and each page a code", () => {
  const codes = new Set([...ERROR_CODES, "internal", ...callErrorCode.options, ...codesOfSdk()]);
  expect([...pages].sort()).toEqual([...codes].sort());
});

test("the index leads to each page", () => {
  const index = readFileSync(join(PAGES, "README.md"), "utf8");
  for (const code of pages) expect(index).toContain(`- [${code}](${code}.md): `);
});

test.each([...ERROR_CODES, "internal"])("what is said of %s is what the server does", (code) => {
  const thrown = ERROR_CODES.find((known) => known === code);
  const problem = problemOf(
    thrown === undefined
      ? new Error("a fault")
      : new PlatformError("no", { code: thrown, retryable: false }),
    "request",
  );
  expect(factOf(code, "HTTP status")).toContain(String(problem.status));
  const head = { status: problem.status, header: () => undefined };
  const { error } = refusalOf(head, JSON.stringify(problem));
  expect(factOf(code, "exit code")).toBe(String(exitCodeOf(error)));
});

test.each(callErrorCode.options)("a call that ends with %s exits as its page says", (code) => {
  const exit = String(exitCodeOf(new CallError("no", { code })));
  expect(factOf(code, "exit code").split(/[ ,]/)).toContain(exit);
});
