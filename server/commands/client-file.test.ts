import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { clientFilePath, readClientSettings, writeClientSettings } from "./client-file.ts";

let env: NodeJS.ProcessEnv = {};
beforeEach(() => (env = { FLOTILLA_HOME: mkdtempSync(join(tmpdir(), "flotilla-home-")) }));
afterEach(() => rmSync(env["FLOTILLA_HOME"] ?? "", { recursive: true, force: true }));

const SETTINGS = { serverUrl: "http://127.0.0.1:7070", token: "fl_secret" };

test("what was written is read back, and only the owner may read it", () => {
  writeClientSettings(SETTINGS, env);
  expect(readClientSettings(env)).toEqual(SETTINGS);
  expect(statSync(clientFilePath(env)).mode & 0o777).toBe(0o600);
});

test("the environment goes before the file", () => {
  writeClientSettings(SETTINGS, env);
  expect(readClientSettings({ ...env, FLOTILLA_SERVER_URL: "http://other" })).toEqual({
    ...SETTINGS,
    serverUrl: "http://other",
  });
});

test("no file, or one without both fields, gives no settings", () => {
  expect(readClientSettings(env)).toBeUndefined();
  writeFileSync(clientFilePath(env), '{"serverUrl":"http://x","token":1}');
  expect(readClientSettings(env)).toBeUndefined();
});
