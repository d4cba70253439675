import { createHash } from "node:crypto";
import { afterEach, beforeEach, expect, test } from "vitest";
import { countingIds } from "../../core/index.ts";
import { createMemoryTier, LeaseEndedError, type ChunkStore } from "../../sandbox/index.ts";
import type { DeployRequest, VolumeChange } from "../../sdk/protocol/index.ts";
import type { Principal } from "../services.ts";
import type { RecordStore } from "../store/record-store.ts";
import { openRecordStore } from "../store/sqlite/open.ts";
import { openFakeVolumes, type FakeVolumes } from "./fake-volumes.ts";
import { UPLOAD_IDLE_MS } from "./volume-uploads.ts";

const WHO: Principal = { workspaceId: "main", tokenId: "to_1" };
const OTHER: Principal = { workspaceId: "other", tokenId: "to_2" };
const HOUR_MS = 3_600_000;

let nowMs: number;
let store: RecordStore;
let fake: FakeVolumes;
/** Chunks outlive a server. */
let chunks: ChunkStore;
let alive: Set<string>;
let commits: number;

beforeEach(() => {
  nowMs = 1_000;
  commits = 0;
  alive = new Set();
  chunks = createMemoryTier({ nowMs: () => nowMs });
  store = openRecordStore(":memory:");
  open();
});
afterEach(async () => store.close());

/** As after a start of the server. */
function open(): void {
  fake = openFakeVolumes({
    store,
    ids: countingIds(),
    clock: { nowMs: () => nowMs, sleep: () => Promise.resolve() },
    isAlive: (containerId) => alive.has(containerId),
    chunks,
  });
}

const idOf = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");
const commitId = (): string => `commit${String((commits += 1)).padStart(16, "0")}`;

function fileOf(path: string, text: string): VolumeChange {
  const bytes = Buffer.from(text);
  const chunks = bytes.byteLength === 0 ? [] : [idOf(bytes)];
  return { kind: "file", path, bytes: bytes.byteLength, chunks, modifiedAtMs: 1 };
}

/** Uploads and commits files as one version. */
async function write(files: Readonly<Record<string, string>>, volume = "v", who = WHO) {
  // One server has the whole of it, also where a test has two.
  const { volumes } = fake;
  const { uploadId } = await volumes.beginUpload(who, volume);
  const bodies = Object.values(files)
    .filter((text) => text !== "")
    .map((text) => Buffer.from(text));
  await volumes.storeChunks(who, { volume, uploadId }, bodies);
  const changes = Object.entries(files).map(([path, text]) => fileOf(path, text));
  return volumes.commit(who, volume, {
    commitId: commitId(),
    uploadId,
    changes,
    removals: [],
  });
}

async function read(
  path: string,
  more: { readonly version?: number; readonly offset?: number } = {},
) {
  const file = await fake.volumes.file(WHO, "v", { path, offset: 0, ...more });
  const parts: Uint8Array[] = [];
  for await (const part of file.content()) parts.push(part);
  return Buffer.concat(parts).toString();
}

test("a volume is made once, seen by its workspace alone, and empty at first", async () => {
  const made = await fake.volumes.create(WHO, { name: "v" });
  expect(made).toMatchObject({ version: 0, entryCount: 0, bytes: 0 });
  await expect(fake.volumes.create(WHO, { name: "v" })).rejects.toMatchObject({ code: "conflict" });
  await expect(fake.volumes.get(OTHER, "v")).rejects.toMatchObject({ code: "not_found" });
  await expect(fake.volumes.get(WHO, "w")).rejects.toThrow("flotilla volume create w");
  expect(await fake.volumes.list(OTHER)).toEqual([]);
});

test("a commit is a version, which stays as it was when others follow", async () => {
  await fake.volumes.create(WHO, { name: "v" });
  expect(await write({ "a/b": "one", c: "" })).toMatchObject({ version: 1, changedCount: 2 });
  await write({ "a/b": "two" });
  expect(await read("a/b")).toBe("two");
  expect(await read("a/b", { version: 1, offset: 1 })).toBe("ne");
  expect(await read("c")).toBe("");
  const { entries, version } = await fake.volumes.entries(WHO, "v", {
    path: "a",
    recursive: false,
  });
  expect([version, entries.map(({ path }) => path)]).toEqual([2, ["a/b"]]);
  expect(await fake.volumes.history(WHO, "v")).toMatchObject([{ version: 2 }, { version: 1 }]);
  await expect(read("a")).rejects.toThrow(/is a folder/);
  await expect(read("a/x")).rejects.toMatchObject({ code: "not_found" });
  await expect(read("a/../c")).rejects.toMatchObject({ code: "invalid_request" });
  await expect(read("c", { version: 9 })).rejects.toMatchObject({ code: "not_found" });
  await expect(read("c", { offset: 1 })).rejects.toMatchObject({ code: "invalid_request" });
});

test("a commit that is sent again is made once, also by a server that was started again", async () => {
  await fake.volumes.create(WHO, { name: "v" });
  const { uploadId } = await fake.volumes.beginUpload(WHO, "v");
  await fake.volumes.storeChunks(WHO, { volume: "v", uploadId }, [Buffer.from("one")]);
  const commit = { commitId: commitId(), uploadId, changes: [fileOf("a", "one")], removals: [] };
  const both = await Promise.all([0, 1].map(() => fake.volumes.commit(WHO, "v", commit)));
  open();
  both.push(await fake.volumes.commit(WHO, "v", commit));
  expect(both.map(({ version, changedCount }) => [version, changedCount])).toEqual([
    [1, 1],
    [1, 1],
    [1, 1],
  ]);
  expect((await fake.volumes.history(WHO, "v")).length).toBe(1);
});

test("commits at once from many writers of different files all survive", async () => {
  await fake.volumes.create(WHO, { name: "v" });
  const names = Array.from({ length: 20 }, (_, at) => `f${at}`);
  const reports = await Promise.all(names.map((name) => write({ [name]: name })));
  expect(new Set(reports.map(({ version }) => version)).size).toBe(20);
  const { entries } = await fake.volumes.entries(WHO, "v", { path: "", recursive: true });
  expect(entries.map(({ path }) => path).sort()).toEqual(names.toSorted());
});

test("two servers on one record store lose nothing of each other", async () => {
  await fake.volumes.create(WHO, { name: "v" });
  const first = fake;
  open();
  const second = fake;
  await Promise.all(
    Array.from({ length: 16 }, async (_, at) => {
      fake = at % 2 === 0 ? first : second;
      return write({ [`f${at}`]: "x" });
    }),
  );
  expect((await fake.volumes.get(WHO, "v")).entryCount).toBe(16);
});

test("a piece that is not there, or of another length, makes no version", async () => {
  await fake.volumes.create(WHO, { name: "v" });
  const commitOf = (change: VolumeChange) =>
    fake.volumes.commit(WHO, "v", { commitId: commitId(), changes: [change], removals: [] });
  await expect(commitOf(fileOf("a", "absent"))).rejects.toMatchObject({ code: "conflict" });
  await write({ a: "there" });
  const short = { ...fileOf("b", "there"), bytes: 9 } as VolumeChange;
  await expect(commitOf(short)).rejects.toMatchObject({ code: "invalid_request" });
  expect((await fake.volumes.get(WHO, "v")).version).toBe(1);
  // What the store has need not be sent.
  expect(await commitOf(fileOf("b", "there"))).toMatchObject({ version: 2 });
});

test("an upload that nobody uses ends, and is not another volume's", async () => {
  await fake.volumes.create(WHO, { name: "v" });
  await fake.volumes.create(WHO, { name: "w" });
  const { uploadId } = await fake.volumes.beginUpload(WHO, "v");
  const ask = (volume: string) => fake.volumes.missingChunks(WHO, { volume, uploadId }, []);
  expect(await ask("v")).toEqual({ missing: [] });
  await expect(ask("w")).rejects.toMatchObject({ code: "conflict" });
  nowMs += UPLOAD_IDLE_MS + 1;
  await fake.volumes.beginUpload(WHO, "v");
  await expect(ask("v")).rejects.toThrow("upload anew");
});

test("chunks of no version go, those of an open upload and of every version stay", async () => {
  await fake.volumes.create(WHO, { name: "v" });
  await write({ a: "first" });
  await write({ a: "second" });
  const { uploadId } = await fake.volumes.beginUpload(WHO, "v");
  await fake.volumes.storeChunks(WHO, { volume: "v", uploadId }, [Buffer.from("open")]);
  await fake.keeper.collect();
  expect(await read("a", { version: 1 })).toBe("first");
  const question = [idOf(Buffer.from("open")), idOf(Buffer.from("second"))];
  expect(await chunks.has(question)).toEqual(new Set(question));
  await fake.volumes.remove(WHO, "v");
  nowMs += UPLOAD_IDLE_MS + 1;
  await fake.volumes.create(WHO, { name: "w" });
  await fake.volumes.beginUpload(WHO, "w");
  await fake.keeper.collect();
  expect(await chunks.has(question)).toEqual(new Set());
});

test("a commit whose chunks were stored too long ago is refused, and its upload is over", async () => {
  await fake.volumes.create(WHO, { name: "v" });
  const { uploadId } = await fake.volumes.beginUpload(WHO, "v");
  await fake.volumes.storeChunks(WHO, { volume: "v", uploadId }, [Buffer.from("late")]);
  // Another server collects, for which this one has stood still.
  await store.chunkRecords("chunks").condemned.oldestTurn(nowMs + 24 * HOUR_MS);
  await fake.keeper.collect();
  expect((await chunks.has([idOf(Buffer.from("late"))])).size).toBe(0);
  const changes = [fileOf("a", "late")];
  const commit = { commitId: commitId(), uploadId, changes, removals: [] };
  const commitLate = () => fake.volumes.commit(WHO, "v", commit);
  await expect(commitLate()).rejects.toThrow(LeaseEndedError);
  await expect(commitLate()).rejects.toThrow("upload anew");
  expect((await fake.volumes.get(WHO, "v")).version).toBe(0);
  await write({ a: "late" });
  expect(await read("a")).toBe("late");
});

test("old versions are forgotten, but not what a container still reads", async () => {
  await fake.volumes.create(WHO, { name: "v" });
  await write({ a: "0" });
  const [start] = await fake.volumes.startsOf(WHO, "co_1", [{ path: "/d", name: "v" }]);
  alive.add("co_1");
  for (let version = 2; version <= 25; version += 1) {
    nowMs += HOUR_MS;
    await write({ a: String(version) });
  }
  const versions = (await fake.volumes.history(WHO, "v")).map(({ version }) => version);
  expect(versions).toEqual(Array.from({ length: 20 }, (_, at) => 25 - at));
  const isKept = async (): Promise<boolean> => {
    await fake.keeper.collect();
    return (await chunks.has([start?.contentId ?? ""])).size > 0;
  };
  expect(await isKept()).toBe(true);
  // The agent may only be away: after a start of the server it has its time again.
  alive.clear();
  open();
  expect(await isKept()).toBe(true);
  nowMs += HOUR_MS + 1;
  expect(await isKept()).toBe(false);
});

test("a grant is for one volume, and for no other platform's", async () => {
  await fake.volumes.create(WHO, { name: "v" });
  const [start] = await fake.volumes.startsOf(WHO, "co_1", [{ path: "/d", name: "v" }]);
  const grant = fake.volumes.openGrant(start?.grant ?? "");
  expect(grant).toMatchObject({ workspaceId: "main", containerId: "co_1" });
  const who: Principal = { ...WHO, ...grant };
  expect(await write({ a: "x" }, "v", who)).toMatchObject({ version: 1 });
  expect(await fake.volumes.history(WHO, "v")).toMatchObject([{ by: "co_1" }]);
  await fake.volumes.create(WHO, { name: "w" });
  await expect(fake.volumes.get(who, "w")).rejects.toMatchObject({ code: "not_found" });
  await fake.volumes.remove(WHO, "v");
  await fake.volumes.create(WHO, { name: "v" });
  await expect(write({ a: "late" }, "v", who)).rejects.toThrow("made anew");
  for (const forged of [
    "",
    ".",
    `${start?.grant ?? ""}x`,
    (start?.grant ?? "").replace(/^./, "A"),
  ]) {
    expect(fake.volumes.openGrant(forged)).toBeUndefined();
  }
});

test("a deployment makes what it may, and is refused without what it may not make", async () => {
  const request = (createIfMissing: boolean): DeployRequest => {
    const volumes = [{ path: "/d", name: "models", createIfMissing }];
    const functions = [{ name: "f", spec: { volumes } }];
    return { mode: "deployed", codeSha256: "0".repeat(64), functions };
  };
  await expect(fake.volumes.checkDeployment("main", request(false))).rejects.toThrow(
    "function f needs volume models, which is not there",
  );
  await fake.volumes.checkDeployment("main", request(true));
  await fake.volumes.checkDeployment("main", request(false));
  expect((await fake.volumes.list(WHO)).map(({ name }) => name)).toEqual(["models"]);
  const gone = fake.volumes.startsOf(OTHER, "co_1", [{ path: "/d", name: "models" }]);
  await expect(gone).rejects.toMatchObject({ code: "not_found" });
});
