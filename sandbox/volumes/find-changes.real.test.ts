/** What hostile code in a container may make of its folder; needs root, for overlayfs. */
import { execFileSync } from "node:child_process";
import { Worker } from "node:worker_threads";
import {
  chmodSync,
  linkSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { createServer, type Server } from "node:net";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { FoundChanges } from "./find-changes.ts";
import { Journal } from "./journal.ts";
import { KnownTree } from "./known-tree.ts";
import { said, TestOverlay } from "./test-overlay.ts";

const SECRET = "of the host";
const RACE_ROUNDS = 150;

let overlay: TestOverlay;
let dir: string;
let at: (path: string) => string;
let opened: Server | undefined;

beforeEach(async () => {
  overlay = await TestOverlay.open({ f: "f", "d/x": "x" });
  dir = overlay.dir;
  at = (path) => overlay.at(path);
  mkdirSync(join(dir, "outside"));
  writeFileSync(join(dir, "outside/secret"), SECRET, { mode: 0o600 });
});

afterEach(() => {
  opened?.close();
  overlay.close();
});

const find = (more: { readonly settledBeforeMs?: number } = {}): Promise<FoundChanges> =>
  overlay.find(more);
const commit = (found: FoundChanges): Promise<void> => overlay.commit(found);

test("nothing is found where nothing was done, and nothing again after a commit", async () => {
  expect(said(await find())).toEqual([]);
  writeFileSync(at("new"), "new");
  const found = await find();
  expect(said(found)).toEqual(["file new"]);
  await commit(found);
  expect(said(await find())).toEqual([]);
});

test("what was written, removed, made a folder or a link is found, by path", async () => {
  writeFileSync(at("f"), "changed");
  rmSync(at("d/x"));
  mkdirSync(at("n/m"), { recursive: true });
  writeFileSync(at("n/m/run"), "run");
  chmodSync(at("n/m/run"), 0o755);
  symlinkSync("/etc/passwd", at("l"));
  const found = await find();
  expect(said(found)).toEqual(
    ["file f", "file n/m/run", "folder n", "folder n/m", "gone d/x", "link l"].sort(),
  );
  expect(found.changes.find(({ path }) => path === "n/m/run")).toMatchObject({ executable: true });
});

test("a folder that was made anew has lost what was in it", async () => {
  rmSync(at("d"), { recursive: true });
  mkdirSync(at("d"));
  writeFileSync(at("d/y"), "y");
  expect(said(await find())).toEqual(["file d/y", "gone d/x"]);
  rmSync(at("d"), { recursive: true });
  writeFileSync(at("d"), "a file");
  expect(said(await find())).toEqual(["file d", "gone d/x"]);
});

test("a file of the same size and time is found changed all the same", async () => {
  writeFileSync(at("n"), "one");
  utimesSync(at("n"), 1, 1);
  await commit(await find());
  writeFileSync(at("n"), "two");
  utimesSync(at("n"), 1, 1);
  const found = await find();
  expect(said(found)).toEqual(["file n"]);
  expect([...overlay.pieces.values()]).toContain("two");
});

test("hard links are files of their own, and one out of the folder cannot be", async () => {
  writeFileSync(at("n"), "n");
  linkSync(at("n"), at("twin"));
  expect(() => linkSync(join(dir, "outside/secret"), at("stolen"))).toThrow(/EXDEV/);
  expect(said(await find())).toEqual(["file n", "file twin"]);
});

test("links are kept as texts, whatever they point to, and never read", async () => {
  symlinkSync(join(dir, "outside/secret"), at("absolute"));
  symlinkSync("../outside/secret", at("relative"));
  symlinkSync(join(dir, "outside"), at("folder"));
  symlinkSync("loop", at("loop"));
  const found = await find();
  expect(said(found)).toEqual(
    ["absolute", "folder", "loop", "relative"].map((each) => `link ${each}`),
  );
  expect([...overlay.pieces.values()]).not.toContain(SECRET);
});

test("a folder that became a link to a folder outside is a link", async () => {
  rmSync(at("d"), { recursive: true });
  symlinkSync(join(dir, "outside"), at("d"));
  expect(said(await find())).toEqual(["gone d/x", "link d"]);
});

test("devices, FIFOs and sockets are left out and named, and nothing waits for them", async () => {
  execFileSync("mknod", [at("fifo"), "p"]);
  execFileSync("mknod", [at("device"), "c", "1", "3"]);
  opened = createServer().listen(at("socket"));
  const found = await find();
  expect(said(found)).toEqual([]);
  expect([...found.skipped].sort()).toEqual(["device", "fifo", "socket"]);
});

test("names that are no UTF-8 are left out and named; case makes names of their own", async () => {
  writeFileSync(Buffer.concat([Buffer.from(`${at("")}/`), Buffer.of(0xff, 0xfe)]), "?");
  writeFileSync(at("README"), "1");
  writeFileSync(at("readme"), "2");
  const found = await find();
  expect(said(found)).toEqual(["file README", "file readme"]);
  expect(found.skipped).toHaveLength(1);
});

test("a file with holes is as large as it says, and costs what it has", async () => {
  writeFileSync(at("sparse"), "");
  truncateSync(at("sparse"), 5 * 1024 * 1024);
  const [change] = (await find()).changes;
  expect(change).toMatchObject({ bytes: 5 * 1024 * 1024, chunks: ["", "", "", "", ""] });
  expect(overlay.pieces.size).toBe(0);
});

test("what was written a moment ago waits, when it is asked to", async () => {
  writeFileSync(at("n"), "n");
  const { mtimeMs } = statSync(at("n"));
  const early = await find({ settledBeforeMs: mtimeMs - 1_000 });
  expect([said(early), early.busy]).toEqual([[], ["n"]]);
  expect(said(await find({ settledBeforeMs: mtimeMs + 1_000 }))).toEqual(["file n"]);
});

test("another agent that reads the journal goes on where this one was", async () => {
  writeFileSync(at("n"), "n");
  rmSync(at("f"));
  await commit(await find());
  writeFileSync(join(dir, "journal"), '{"signatures":[["cut', { flag: "a" });
  overlay.journal = await Journal.open(join(dir, "journal"));
  const { tree } = overlay.known;
  overlay.known = new KnownTree(new Map([...tree].filter(([path]) => path !== "n")));
  overlay.journal.replay(overlay.known);
  expect(said(await find())).toEqual([]);
});

test("folders that are exchanged for links all the time lead nowhere outside", async () => {
  mkdirSync(at("race"));
  writeFileSync(at("race/secret"), "mine");
  const racer = new Worker(
    `const { renameSync, symlinkSync, unlinkSync, mkdirSync, writeFileSync, rmSync } = require("node:fs");
     const { race, outside } = require("node:worker_threads").workerData;
     const attempt = (act) => { try { act(); } catch {} };
     for (;;) {
       attempt(() => renameSync(race, race + "-aside"));
       attempt(() => symlinkSync(outside, race));
       attempt(() => unlinkSync(race));
       attempt(() => renameSync(race + "-aside", race));
       attempt(() => rmSync(race + "/secret"));
       attempt(() => symlinkSync(outside + "/secret", race + "/secret"));
       attempt(() => unlinkSync(race + "/secret"));
       attempt(() => writeFileSync(race + "/secret", "mine"));
     }`,
    { eval: true, workerData: { race: at("race"), outside: join(dir, "outside") } },
  );
  let readCount = 0;
  for (let round = 0; round < RACE_ROUNDS; round += 1) {
    const found = await find();
    readCount += found.changes.filter(({ kind }) => kind === "file").length;
  }
  await racer.terminate();
  expect(readCount).toBeGreaterThan(0);
  expect([...overlay.pieces.values()]).not.toContain(SECRET);
  expect(readFileSync(join(dir, "outside/secret"), "utf8")).toBe(SECRET);
});
