/**
 * Every command that asks a server, against servers that refuse: the exit code says how, whatever
 * the command is. A new command is covered by being there.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { join } from "node:path";
import type { Command } from "commander";
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { buildProgram, main } from "./main.ts";

/** Those that ask no server: they write files, or print what this machine knows. */
const LOCAL: readonly string[] = ["completion", "config", "init"];

/** What the arguments of these names look like; any other is a name. */
const VALUES: Readonly<Record<string, () => string>> = {
  container: () => `co_${"0".repeat(26)}`,
  file: () => join(dir, "app.mjs"),
  source: () => join(dir, "app.mjs"),
  sandbox: () => "sandbox-00000000-000000000000",
  target: () => join(dir, "app.mjs"),
};
/** What a command needs beside its arguments before it asks. */
const MORE: Readonly<Record<string, readonly string[]>> = {
  "function update": ["--min-containers", "1"],
  "secret create": ["KEY=value"],
  "secret update": ["KEY=value"],
  "token create": ["--scope", "read"],
  "workspace set-quota": ["--gpus", "1"],
};
/** Those that import the user's file, which one process does once at a time. */
const LOADING: readonly string[] = ["deploy", "image build", "run", "serve"];
const PROGRAM = `
import { App, Image } from "flotilla";
const app = new App("sweep");
export const square = app.function({ image: Image.fromScratch() }, (x) => x * x);
app.localEntrypoint(() => square.remote(2));
`;

let dir = "";
let server: Server;
let status = 0;
let out = "";
let err = "";

beforeAll(async () => {
  // Below this package, where "flotilla" is found.
  const cache = join(import.meta.dirname, "../../node_modules/.cache");
  mkdirSync(cache, { recursive: true });
  dir = mkdtempSync(join(cache, "exit-sweep-"));
  writeFileSync(join(dir, "app.mjs"), PROGRAM);
  server = createServer((request, response) => {
    request.resume();
    // An answer to HEAD has no body that could say more than "later" of a 429.
    const isAsked = request.method === "HEAD" && status === 429;
    const problem = { title: "no", status, code: CODES[status], retryable: false };
    response.writeHead(isAsked ? 404 : status, { "content-type": "application/problem+json" });
    response.end(JSON.stringify(problem));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
  rmSync(dir, { recursive: true, force: true });
});
beforeEach(() => {
  out = "";
  err = "";
  const address = server.address();
  if (typeof address !== "object" || address === null) throw new Error("it does not listen");
  vi.stubEnv("FLOTILLA_SERVER_URL", `http://127.0.0.1:${address.port}`);
  vi.stubEnv("FLOTILLA_TOKEN", "a-token");
  vi.spyOn(process.stdout, "write").mockImplementation((text) => ((out += String(text)), true));
  vi.spyOn(process.stderr, "write").mockImplementation((text) => ((err += String(text)), true));
  return () => {
    vi.unstubAllEnvs();
    vi.restoreAllMocks();
    process.exitCode = undefined;
  };
});

const CODES: Readonly<Record<number, string>> = {
  401: "auth_failed",
  404: "not_found",
  429: "quota_exceeded",
};

/** Commands that do something, by their whole name. */
function leavesOf(command: Command, path: readonly string[] = []): readonly string[] {
  if (command.commands.length === 0) return [path.join(" ")];
  return command.commands.flatMap((each) => leavesOf(each, [...path, each.name()]));
}
const LEAVES = leavesOf(buildProgram()).filter((leaf) => !LOCAL.includes(leaf.split(" ")[0] ?? ""));

/** What a command needs at least, each argument something that the parser lets through. */
function argumentsOf(leaf: string): readonly string[] {
  let command: Command | undefined = buildProgram();
  for (const name of leaf.split(" ")) {
    command = command.commands.find((each) => each.name() === name);
    if (command === undefined) throw new Error(`there is no command ${leaf}`);
  }
  const given = command.registeredArguments.filter(({ required }) => required);
  return [...given.map((each) => VALUES[each.name()]?.() ?? "nothing"), ...(MORE[leaf] ?? [])];
}

const run = (leaf: string): Promise<number> =>
  main(["node", "flotilla", ...leaf.split(" "), ...argumentsOf(leaf)]);

describe.each(LEAVES)("flotilla %s", (leaf) => {
  test.each([
    [401, 3],
    [404, 4],
    [429, 5],
  ])("exits by what the server said: %i is %i", async (answered, exit) => {
    status = answered;
    const code = await run(leaf);
    expect({ code, err }).toMatchObject({ code: exit });
    expect(err).toContain("error[");
    expect(err).toContain("next:");
    expect(out).toBe("");
  });

  test("exits with 2 for an option that there is not", async () => {
    expect(await main(["node", "flotilla", ...leaf.split(" "), "--not-an-option"])).toBe(2);
  });
});

test("all exit with 6 where nothing listens", async () => {
  // A process keeps the connection of its default client; this one begins anew.
  vi.resetModules();
  vi.stubEnv("FLOTILLA_SERVER_URL", "http://127.0.0.1:9");
  const loading = LEAVES.filter((leaf) => LOADING.includes(leaf));
  const asking = LEAVES.filter((leaf) => !LOADING.includes(leaf));
  const codes = await Promise.all(asking.map(async (leaf) => [leaf, await run(leaf)]));
  for (const leaf of loading) codes.push([leaf, await run(leaf)]);
  expect(codes).toEqual([...asking, ...loading].map((leaf) => [leaf, 6]));
  expect(err).toContain("flotilla up");
});
