import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import {
  claimDataDir,
  publishReady,
  readLiveState,
  releaseDataDir,
  stateFilePath,
} from "./platform-state.ts";

let dataDir = "";
beforeEach(() => (dataDir = mkdtempSync(join(tmpdir(), "flotilla-state-"))));
afterEach(() => rmSync(dataDir, { recursive: true, force: true }));

function leave(state: unknown): void {
  writeFileSync(stateFilePath(dataDir), typeof state === "string" ? state : JSON.stringify(state));
}

test("a free folder is claimed, and says so to the next one who asks", () => {
  expect(claimDataDir(dataDir, 5)).toBeUndefined();
  expect(claimDataDir(dataDir, 6)).toMatchObject({ pid: process.pid, startedAtMs: 5 });
});

test("a claimed folder names its URLs once the platform is ready", () => {
  claimDataDir(dataDir, 5);
  expect(readLiveState(dataDir)?.url).toBeUndefined();
  const ready = { url: "http://127.0.0.1:1", emulators: { aws: "http://127.0.0.1:2" } };
  publishReady(dataDir, { startedAtMs: 5, ...ready });
  expect(readLiveState(dataDir)).toMatchObject({ pid: process.pid, startedAtMs: 5, ...ready });
});

test("a data folder that cannot be one is refused with what to do", () => {
  const file = join(dataDir, "file");
  writeFileSync(file, "");
  for (const path of [file, join(file, "below")]) {
    expect(() => claimDataDir(path, 5)).toThrow(/cannot keep data in .*--data/);
  }
});

test("a folder whose process has died is free", () => {
  leave({ pid: 2 ** 22 + 1, startedAtMs: 1 });
  expect(readLiveState(dataDir)).toBeUndefined();
  expect(claimDataDir(dataDir, 7)).toBeUndefined();
});

test("a folder whose pid now belongs to another process is free", () => {
  leave({ pid: process.pid, startTicks: "1", startedAtMs: 1 });
  expect(readLiveState(dataDir)).toBeUndefined();
});

test.each(["", "{", "null", '{"pid":"x"}', '{"pid":-1}'])(
  "a broken state file (%s) does not block the folder",
  (text) => {
    leave(text);
    expect(claimDataDir(dataDir, 7)).toBeUndefined();
  },
);

test("releasing removes the own claim and leaves another's alone", () => {
  claimDataDir(dataDir, 5);
  releaseDataDir(dataDir);
  expect(readLiveState(dataDir)).toBeUndefined();
  leave({ pid: 1, startedAtMs: 1 });
  releaseDataDir(dataDir);
  expect(JSON.parse(readFileSync(stateFilePath(dataDir), "utf8"))).toMatchObject({ pid: 1 });
});
