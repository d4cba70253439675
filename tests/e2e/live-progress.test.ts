/** Progress in a real terminal is redrawn in place, and plain lines come where there is none. */
import { join } from "node:path";
import { stripVTControlCharacters } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { TestTerminal } from "../../sandbox/runners/guest/test-terminal.ts";
import { runEnvironment } from "../../scripts/platform/platform-process.ts";
import { ROOT } from "../../scripts/steps.ts";
import { makeGuest } from "../support/guest.ts";
import { TestPlatform } from "../support/platform.ts";

const APP = `
import { App } from "flotilla";
const app = new App("slow");
export const double = app.function({ maxContainers: 1 }, async (x: number) => {
  await new Promise((resolve) => setTimeout(resolve, 400));
  return 2 * x;
});
app.localEntrypoint(async () => {
  const sums: number[] = [];
  for await (const y of double.map([1, 2, 3, 4, 5, 6], { ordered: true })) {
    console.log("got " + y);
    sums.push(y);
  }
  return sums;
});
`;
const CLI = join(ROOT, "sdk/bin/flotilla.mjs");
const UP = "\u001b[";
const platform = new TestPlatform();
let guest: string;
let file: string;

beforeAll(async () => {
  await platform.start();
  guest = await makeGuest(platform);
  file = platform.write("slow.ts", APP);
});

afterAll(async () => {
  expect(await platform.close()).toEqual({ processes: [], mounts: 0 });
});

async function inTerminal(
  words: readonly string[],
  environment: NodeJS.ProcessEnv = {},
): Promise<{ readonly shown: string; readonly exitCode: number | null }> {
  const own = { ...runEnvironment(platform.scratchDir), TERM: "xterm", CI: "", ...environment };
  const terminal = new TestTerminal(guest, [process.execPath, CLI, ...words], own);
  const exitCode = await terminal.ended;
  return { shown: terminal.shown.replaceAll("\r\n", "\n"), exitCode };
}

test("a run shows its inputs in place, and leaves only what was printed", async () => {
  const { shown, exitCode } = await inTerminal(["run", file]);
  expect(exitCode).toBe(0);
  expect(shown).toMatch(/inputs {5}[█░]+ \d of 6/);
  expect(shown).toContain(`A\r${UP}J`);
  expect(shown).toMatch(/containers 1 ready/);
  expect(shown.match(/got \d+\n/g)).toHaveLength(6);
  // The last thing is the result, with nothing below it.
  expect(stripVTControlCharacters(shown)).toMatch(/\[ 2, 4, 6, 8, 10, 12 \]\n$/);
});

test("without colours lines are redrawn, and none is coloured", async () => {
  const { shown } = await inTerminal(["run", file], { NO_COLOR: "1" });
  expect(shown).toContain(`A\r${UP}J`);
  expect(shown.replaceAll(/.\[\d+A\r.\[J/g, "")).not.toContain("\u001b");
});

test.each([
  ["--json", ["--json"], {}],
  ["CI", [], { CI: "true" }],
  ["a dumb terminal", [], { TERM: "dumb" }],
])("with %s nothing is redrawn", async (_name, options, environment) => {
  const { shown, exitCode } = await inTerminal(["run", file, ...options], environment);
  expect(exitCode).toBe(0);
  expect(shown).not.toContain(`A\r${UP}J`);
});

test("in a pipe progress is plain lines on stderr, and stdout is the data alone", () => {
  const { stdout, stderr } = platform.tryCli("run", file);
  expect(stdout).toBe("got 2\ngot 4\ngot 6\ngot 8\ngot 10\ngot 12\n[ 2, 4, 6, 8, 10, 12 ]\n");
  expect(stderr).toMatch(/• call queued: \d inputs?\n/);
  expect(stderr).not.toContain("\u001b");
});

test("a copy into a volume shows how far it is, and says so once in the end", async () => {
  const source = platform.write("large.bin", "x".repeat(40 * 1024 * 1024));
  const { shown, exitCode } = await inTerminal(["volume", "put", "big", source, "--create"]);
  expect(exitCode).toBe(0);
  expect(shown).toMatch(/Copied 1 file \(40.0 MiB\) to volume big, version 1\n$/);
});
