import { createHash } from "node:crypto";
import { mkdir, mkdtemp, readdir, readFile, rm, utimes, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { CodeCache } from "./code-cache.ts";

const CODE = Buffer.from("export const answer = 42;");
const SHA256 = hashOf(CODE);

let parent: string;
let dir: string;
let server: Server;
let serverUrl: string;
/** What the server was asked for, with whose token. */
let asked: string[];
let answer: { readonly status: number; readonly body: Uint8Array };
/** The server answers once this resolves. */
let gate: Promise<void>;

beforeEach(async () => {
  parent = await mkdtemp(join(tmpdir(), "flotilla-code-"));
  dir = join(parent, "code");
  asked = [];
  answer = { status: 200, body: CODE };
  gate = Promise.resolve();
  server = createServer((request, response) => {
    asked.push(`${request.url ?? ""} ${request.headers.authorization ?? ""}`);
    void gate.then(() => response.writeHead(answer.status).end(answer.body));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  serverUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});

afterEach(async () => {
  server.closeAllConnections();
  server.close();
  await rm(parent, { recursive: true });
});

const cache = (): CodeCache => new CodeCache({ dir, serverUrl, token: () => "session" });

test("a bundle is fetched once with the session's token, also when several ask at once", async () => {
  const one = cache();
  const loads = await Promise.all([one.load(SHA256), one.load(SHA256)]);
  for (const bytes of [...loads, await one.load(SHA256)]) expect(Buffer.from(bytes)).toEqual(CODE);
  expect(asked).toEqual([`/v1/blobs/${SHA256} Bearer session`]);
});

test("a bundle on disk is not fetched, also by the next agent", async () => {
  await cache().load(SHA256);
  expect(await readdir(dir)).toEqual([SHA256]);
  expect(await readFile(join(dir, SHA256))).toEqual(CODE);
  expect(Buffer.from(await cache().load(SHA256))).toEqual(CODE);
  expect(asked).toHaveLength(1);
});

test("a file that was tampered with is not run but fetched again", async () => {
  await cache().load(SHA256);
  await writeFile(join(dir, SHA256), "export const answer = 43;");
  expect(Buffer.from(await cache().load(SHA256))).toEqual(CODE);
  expect(await readFile(join(dir, SHA256))).toEqual(CODE);
});

test("bytes with another hash are refused and not kept, and asked for again", async () => {
  const one = cache();
  answer = { status: 200, body: Buffer.from("something else") };
  await expect(one.load(SHA256)).rejects.toMatchObject({
    name: "PlatformError",
    code: "unavailable",
    retryable: true,
    message: expect.stringMatching(/another hash/) as string,
  });
  await expect(readdir(dir)).rejects.toThrow("ENOENT");
  answer = { status: 200, body: CODE };
  expect(Buffer.from(await one.load(SHA256))).toEqual(CODE);
});

test.each([
  [404, "not_found", false],
  [401, "unavailable", false],
  [503, "unavailable", true],
])("an answer of %d is told as %s", async (status, code, retryable) => {
  answer = { status, body: Buffer.from("no") };
  await expect(cache().load(SHA256)).rejects.toMatchObject({
    name: "PlatformError",
    code,
    retryable,
    details: { status },
  });
});

test("a server that is not there is told in our words, with its address", async () => {
  const one = cache();
  server.close();
  await expect(one.load(SHA256)).rejects.toMatchObject({
    name: "PlatformError",
    code: "unavailable",
    retryable: true,
    message: expect.stringContaining(serverUrl) as string,
  });
});

test("a folder that cannot be written costs nothing but the next fetch", async () => {
  await writeFile(dir, "in the way");
  expect(Buffer.from(await cache().load(SHA256))).toEqual(CODE);
  expect(Buffer.from(await cache().load(SHA256))).toEqual(CODE);
  expect(asked).toHaveLength(2);
});

test("a bundle that is asked for again after it was forgotten loads twice without harm", async () => {
  const one = cache();
  const open = Promise.withResolvers<undefined>();
  gate = open.promise;
  const first = one.load(SHA256);
  const others = Array.from({ length: 40 }, (_, position) => one.load(hashOf(String(position))));
  const failures = Promise.allSettled(others);
  const second = one.load(SHA256);
  open.resolve(undefined);
  expect(Buffer.from(await first)).toEqual(CODE);
  expect(Buffer.from(await second)).toEqual(CODE);
  await failures;
  expect(await readdir(dir)).toEqual([SHA256]);
});

function hashOf(content: string | Uint8Array): string {
  return createHash("sha256").update(content).digest("hex");
}

test("what is on disk is told of: what an earlier agent left, oldest first, and what comes", async () => {
  const told: string[] = [];
  await cache().load(SHA256);
  const [older, newer] = ["a".repeat(64), "b".repeat(64)];
  await writeFile(join(dir, older), "");
  await writeFile(join(dir, newer), "");
  await writeFile(join(dir, "not-a-hash"), "");
  await mkdir(join(dir, "c".repeat(64)));
  for (const [age, name] of [older, SHA256, newer].entries())
    await utimes(join(dir, name), age, age);
  const next = new CodeCache({
    dir,
    serverUrl,
    token: () => "session",
    onKept: (sha256) => told.push(sha256),
  });
  expect(next.kept).toEqual([]);
  await next.open();
  expect(next.kept).toEqual([older, SHA256, newer]);
  await next.load(SHA256);
  expect(told).toEqual([]);
  await rm(join(dir, SHA256));
  const fresh = new CodeCache({
    dir,
    serverUrl,
    token: () => "session",
    onKept: (sha256) => told.push(sha256),
  });
  await fresh.open();
  await fresh.load(SHA256);
  expect(told).toEqual([SHA256]);
  expect(fresh.kept).toEqual([older, newer, SHA256]);
});

test("of very many bundles the newest are told of, and a folder that is not there yet is empty", async () => {
  const empty = cache();
  await empty.open();
  expect(empty.kept).toEqual([]);
  await mkdir(dir);
  const names = Array.from({ length: 70 }, (_, age) => String(age).padStart(64, "0"));
  for (const [age, name] of names.entries()) {
    await writeFile(join(dir, name), "");
    await utimes(join(dir, name), age, age);
  }
  const full = cache();
  await full.open();
  expect(full.kept).toEqual(names.slice(6));
});
