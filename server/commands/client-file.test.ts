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
  const given = { FLOTILLA_SERVER_URL: "http://other", FLOTILLA_TOKEN: "fl_given" };
  expect(readClientSettings({ ...env, ...given })).toEqual({
    serverUrl: "http://other",
    token: "fl_given",
  });
});

test("the file's token goes to the file's server and to no other", () => {
  writeClientSettings(SETTINGS, env);
  const of = (serverUrl: string) =>
    readClientSettings({ ...env, FLOTILLA_SERVER_URL: serverUrl }).token;
  expect(of(`${SETTINGS.serverUrl}/`)).toBe(SETTINGS.token);
  expect(of("http://other")).toBeUndefined();
});

test("what is no server address is refused as such", () => {
  for (const text of ["junk", "ftp://127.0.0.1"]) {
    expect(() => readClientSettings({ ...env, FLOTILLA_SERVER_URL: text })).toThrow(
      `"${text}" is no server address`,
    );
  }
});

test("no file gives no settings, and a broken field is left out", () => {
  expect(readClientSettings(env)).toEqual({});
  writeFileSync(clientFilePath(env), '{"serverUrl":"http://x","token":1}');
  expect(readClientSettings(env)).toEqual({ serverUrl: "http://x" });
});
