import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { resolveConnection } from "../../client/connection.ts";
import { main } from "../main.ts";

let home = "";
let out = "";
let err = "";
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "flotilla-config-"));
  out = "";
  err = "";
  vi.stubEnv("FLOTILLA_HOME", home);
  for (const name of ["SERVER_URL", "TOKEN", "WORKSPACE", "PROFILE"]) {
    vi.stubEnv(`FLOTILLA_${name}`, undefined);
  }
  vi.spyOn(process.stdout, "write").mockImplementation((text) => ((out += String(text)), true));
  vi.spyOn(process.stderr, "write").mockImplementation((text) => ((err += String(text)), true));
});
afterEach(() => {
  vi.unstubAllEnvs();
  vi.restoreAllMocks();
  rmSync(home, { recursive: true });
});

const config = (...args: string[]): Promise<number> =>
  main(["node", "flotilla", "config", ...args]);

async function makeWork(): Promise<void> {
  await config("set", "server-url", "https://work.example:7070/", "--profile", "work");
  await config("set", "token", "fl_work", "--profile", "work");
  await config("set", "workspace", "vision", "--profile", "work");
}

test("a profile in use is the server, token and workspace of every command", async () => {
  writeFileSync(
    join(home, "client.json"),
    JSON.stringify({ serverUrl: "http://127.0.0.1:1", token: "fl_local" }),
  );
  await makeWork();
  expect((await resolveConnection({})).token).toBe("fl_local");
  expect(await config("use", "work")).toBe(0);
  const work = { serverUrl: "https://work.example:7070", token: "fl_work", workspace: "vision" };
  expect(await resolveConnection({})).toEqual(work);
  vi.stubEnv("FLOTILLA_WORKSPACE", "other");
  expect(await resolveConnection({})).toEqual({ ...work, workspace: "other" });
  vi.stubEnv("FLOTILLA_PROFILE", "local");
  expect((await resolveConnection({})).token).toBe("fl_local");
});

test("the token and workspace of a profile are for its server only", async () => {
  await makeWork();
  await config("use", "work");
  vi.stubEnv("FLOTILLA_SERVER_URL", "http://other:1");
  await expect(resolveConnection({})).rejects.toThrow(
    /no token for the server at http:\/\/other:1/,
  );
  expect(await resolveConnection({ token: "fl_own" })).toEqual({
    serverUrl: "http://other:1",
    token: "fl_own",
  });
});

test("the file is its owner's alone, and tokens are never printed", async () => {
  await makeWork();
  await config("use", "work");
  expect(statSync(join(home, "config.json")).mode & 0o777).toBe(0o600);
  expect(await config("list")).toBe(0);
  expect(await config("list", "--json")).toBe(0);
  expect(out).toMatch(/work \(in use\) +https:\/\/work.example:7070\/ +vision +set/);
  expect(await config("get", "token")).toBe(2);
  expect(await config("get", "workspace")).toBe(0);
  expect(out).toMatch(/vision\n$/);
  expect(out + err).not.toContain("fl_work");
});

test("what is unset and removed is forgotten, and this machine's platform is in use again", async () => {
  await makeWork();
  await config("use", "work");
  expect(await config("unset", "workspace")).toBe(0);
  expect(await config("get", "workspace")).toBe(4);
  expect(await config("remove", "work")).toBe(0);
  expect(await config("use", "work")).toBe(4);
  expect(readFileSync(join(home, "config.json"), "utf8")).not.toContain("fl_work");
  expect(await config("get", "profile")).toBe(0);
  expect(out).toMatch(/local\n$/);
});

test.each([
  [["set", "colour", "red", "--profile", "a"], 2, /no setting "colour"/],
  [["set", "server-url", "work", "--profile", "a"], 2, /no server address/],
  [["set", "token", "x"], 2, /cannot be changed/],
  [["set", "token", "x", "--profile", "../a"], 2, /no name of a profile/],
  [["unset", "token", "--profile", "a"], 4, /no profile "a"/],
  [["remove", "constructor"], 4, /no profile "constructor"/],
])("%j is refused with what is wrong", async (args, exit, message) => {
  expect(await config(...args)).toBe(exit);
  expect(err).toMatch(message);
});

test("a file that is none is named, and not written over", async () => {
  writeFileSync(join(home, "config.json"), "[1");
  expect(await config("set", "token", "x", "--profile", "a")).toBe(2);
  expect(err).toMatch(/config\.json is not the JSON/);
  await expect(resolveConnection({})).rejects.toThrow(/config\.json is not the JSON/);
  expect(readFileSync(join(home, "config.json"), "utf8")).toBe("[1");
});

test("a profile that is chosen and not there is told, and no other is used instead", async () => {
  vi.stubEnv("FLOTILLA_PROFILE", "gone");
  await expect(resolveConnection({})).rejects.toThrow(/no profile "gone"/);
});
