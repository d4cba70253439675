import { mkdtempSync, renameSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { nextChange } from "./source-watch.ts";

let dir: string;
let file: string;
let stop: AbortController;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "flotilla-watch-"));
  file = join(dir, "app.ts");
  writeFileSync(file, "1");
  stop = new AbortController();
});
afterEach(() => {
  rmSync(dir, { recursive: true, force: true });
});

/** Waits for a change after now; says whether it came before it was given up. */
async function changed(paths: readonly string[], sinceMs = Date.now() + 60_000): Promise<boolean> {
  await nextChange(paths, { sinceMs, signal: stop.signal });
  return !stop.signal.aborted;
}

test("a written file has changed", async () => {
  const waiting = changed([file]);
  writeFileSync(file, "2");
  expect(await waiting).toBe(true);
});

test("a file that is put in another's place has changed", async () => {
  const waiting = changed([file]);
  writeFileSync(join(dir, "app.ts~"), "2");
  renameSync(join(dir, "app.ts~"), file);
  expect(await waiting).toBe(true);
});

test("a change that was made before the wait counts, and one of the future does not", async () => {
  expect(await changed([file], Date.now() - 60_000)).toBe(true);
  const future = new Date(Date.now() + 3_600_000);
  utimesSync(file, future, future);
  const waiting = changed([file], Date.now());
  setTimeout(() => stop.abort(), 400);
  expect(await waiting).toBe(false);
});

test("files beside it are nobody's, and folders that are gone harm nobody", async () => {
  const waiting = changed([file, join(dir, "gone", "other.ts")]);
  writeFileSync(join(dir, "beside.ts"), "2");
  setTimeout(() => stop.abort(), 400);
  expect(await waiting).toBe(false);
});
