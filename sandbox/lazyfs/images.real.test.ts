/** Images through a real kernel: mounted, read, starved, killed. */
import { execFile, spawnSync } from "node:child_process";
import {
  existsSync,
  lstatSync,
  mkdtempSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { readdir, readFile, rm } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Clock } from "../../core/index.ts";
import { PeerServer, peerUrlOf } from "../peers/peer-server.ts";
import { peerKeyOf, peerTicketOf } from "../peers/peer-ticket.ts";
import { openDiskTier, type DiskTier, type ImageIndex } from "../store/index.ts";
import { ingestTree } from "../store/ingest-tree.ts";
import { canMount, imageMountsUnder } from "./fuse-mount.ts";
import { ImageMounts, reapImageMounts } from "./image-mounts.ts";

const run = promisify(execFile);
const clock: Clock = {
  nowMs: () => Date.now(),
  sleep: async (durationMs, signal) => {
    await sleep(durationMs, undefined, signal === undefined ? {} : { signal }).catch(
      () => undefined,
    );
  },
};
const PIECE = 256 * 1_024;

let dir: string;
let store: DiskTier;
let imageId: string;
let index: ImageIndex;
let open: ImageMounts[];
let server: Server | undefined;

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), "flotilla-mounts-"));
  const tree = join(dir, "tree");
  mkdirSync(join(tree, "many"), { recursive: true });
  writeFileSync(join(tree, "large"), Buffer.alloc(8 * PIECE, "large "));
  for (let number = 0; number < 500; number += 1) {
    writeFileSync(join(tree, "many", `file-${number}`), `content of ${number} `.repeat(number));
  }
  symlinkSync("many/file-7", join(tree, "link"));
  for (let piece = 0; piece < 8; piece += 1) {
    writeFileSync(join(tree, `piece-${piece}`), Buffer.alloc(PIECE, piece + 1));
  }
  store = await openDiskTier({ dir: join(dir, "store") });
  ({ imageId, index } = await ingestTree(tree, store));
  open = [];
});

afterEach(async () => {
  for (const mounts of open) await mounts.close();
  server?.close();
  server?.closeAllConnections();
  server = undefined;
  expect(imageMountsUnder(dir)).toEqual([]);
  await rm(dir, { recursive: true, force: true });
});

interface MountsSetting {
  readonly serverUrl?: string;
  readonly sharedDirs?: readonly string[];
  readonly deadlineMs?: number;
  readonly mounts?: boolean;
  readonly token?: () => string;
  readonly onError?: (error: unknown) => void;
}

function mountsOf(setting: MountsSetting = {}): ImageMounts {
  const { serverUrl, sharedDirs = [join(dir, "store")], deadlineMs = 10_000 } = setting;
  const mounts = new ImageMounts({
    dir: join(dir, "images"),
    serving: {
      cacheDir: join(dir, "cache"),
      cacheBytesMax: 1e9,
      sharedDirs,
      deadlineMs,
      ...(serverUrl === undefined ? {} : { serverUrl }),
    },
    token: setting.token ?? (() => "the token"),
    clock,
    onError: setting.onError ?? ((error) => expect.unreachable(String(error))),
    ...(setting.mounts === undefined ? {} : { mounts: setting.mounts }),
  });
  open.push(mounts);
  return mounts;
}

/** A server of chunks; `answer` may hold a request back or spoil it. */
async function serveChunks(
  answer: (id: string, encoded: Uint8Array | undefined) => Promise<Uint8Array | undefined>,
): Promise<{ readonly serverUrl: string; readonly asked: string[]; readonly tokens: string[] }> {
  const asked: string[] = [];
  const tokens: string[] = [];
  server = createServer((request, response) => {
    const id = request.url?.split("/").at(-1) ?? "";
    if (id === "reads") {
      response.writeHead(404).end();
      return;
    }
    asked.push(id);
    tokens.push(request.headers.authorization ?? "none");
    void store
      .get(id)
      .then((encoded) => answer(id, encoded))
      .then((encoded) => response.writeHead(encoded === undefined ? 404 : 200).end(encoded));
  });
  await new Promise<void>((resolve) => server?.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return { serverUrl: `http://127.0.0.1:${port}`, asked, tokens };
}

/** Bytes of a file, read by a process of its own: one that hangs does not hang this one. */
async function readBytes(path: string, timeoutMs = 20_000): Promise<Buffer> {
  const { stdout } = await run("cat", [path], {
    encoding: "buffer",
    maxBuffer: 64 * PIECE,
    timeout: timeoutMs,
    killSignal: "SIGKILL",
  });
  return stdout;
}

test.runIf(canMount())(
  "an image for one user is theirs, and as it was for all others",
  async () => {
    const mounts = mountsOf();
    const theirs = await mounts.hold(imageId, undefined, 65_534);
    const plain = await mounts.hold(imageId);
    const again = await mounts.hold(imageId, undefined, 65_534);
    expect(again.root).toBe(theirs.root);
    expect(plain.root).not.toBe(theirs.root);
    for (const name of ["many", "large", "link"]) {
      const { uid, gid } = lstatSync(join(theirs.root, name));
      expect([uid, gid]).toEqual([65_534, 65_534]);
      expect(lstatSync(join(plain.root, name)).uid).toBe(process.getuid?.());
    }
    expect(readFileSync(join(theirs.root, "link"), "utf8")).toBe("content of 7 ".repeat(7));
  },
);

test("where images cannot be mounted they are restored to a folder, once", async () => {
  const mounts = mountsOf({ mounts: false });
  const [first, second] = await Promise.all([mounts.hold(imageId), mounts.hold(imageId)]);
  expect(first.root).toBe(second.root);
  expect(readFileSync(join(first.root, "link"), "utf8")).toBe("content of 7 ".repeat(7));
  expect(mounts.servingPid).toBeUndefined();
});

describe.skipIf(!canMount())("an image that is mounted", () => {
  test("is the tree that it was made of", async () => {
    const { root } = await mountsOf().hold(imageId);
    const { status, stdout } = spawnSync("diff", [
      "-r",
      "--no-dereference",
      root,
      join(dir, "tree"),
    ]);
    expect(stdout.toString()).toBe("");
    expect(status).toBe(0);
    expect(readdirSync(join(root, "many"))).toHaveLength(500);
  });

  test("is asked about nothing again that the kernel was told once", async () => {
    const held = await mountsOf().hold(imageId);
    const script = "cd $1 && ls -lR . | cksum && cat many/* link | cksum; ls nowhere; true";
    const reading = (): string =>
      spawnSync("sh", ["-c", script, "sh", held.root], { encoding: "utf8" }).stdout;
    const first = reading();
    const before = await held.requests();
    expect(reading()).toBe(first);
    const { lookup, getattr, read, readlink } = await held.requests();
    expect(before.lookup).toBeGreaterThan(0);
    expect({ lookup, getattr, read, readlink }).toEqual({
      lookup: before.lookup,
      getattr: before.getattr,
      read: before.read,
      readlink: before.readlink,
    });
  });

  test("is read ahead no further than a page fault of a library should cost", async () => {
    const { root } = await mountsOf().hold(imageId);
    // The minor number of a file system without a device, as Linux packs it.
    const { dev } = lstatSync(root);
    const minor = (dev & 0xff) | ((dev >>> 12) & ~0xff);
    const readAhead = readFileSync(`/sys/class/bdi/0:${minor}/read_ahead_kb`, "utf8");
    expect(Number(readAhead)).toBeLessThanOrEqual(128);
  });

  test("fetches for one look into a large file what is around it, and no more", async () => {
    const tree = join(dir, "library");
    const content = Buffer.alloc(60 * PIECE);
    for (let piece = 0; piece < 60; piece += 1) content.fill(piece + 1, piece * PIECE);
    mkdirSync(tree);
    writeFileSync(join(tree, "library.so"), content);
    const library = await ingestTree(tree, store);
    const { serverUrl, asked } = await serveChunks((_, encoded) => Promise.resolve(encoded));
    const { root } = await mountsOf({ serverUrl, sharedDirs: [] }).hold(library.imageId);
    asked.length = 0;
    const at = ["bs=4096", "count=1", `skip=${(30 * PIECE) / 4_096}`];
    const { stdout } = await run("dd", [`if=${join(root, "library.so")}`, ...at], {
      encoding: "buffer",
    });
    expect(stdout).toEqual(Buffer.alloc(4_096, 31));
    const numbers = asked.map((id) => library.index.chunkIds().indexOf(id));
    expect(numbers).toContain(30);
    expect([30, 31, 29, 32, 28, 33, 27]).toEqual(expect.arrayContaining(numbers));
  });

  test("cannot be written to", async () => {
    const { root } = await mountsOf().hold(imageId);
    const { stderr } = spawnSync("touch", [join(root, "new")], { encoding: "utf8" });
    expect(stderr).toContain("Read-only file system");
  });

  test("comes from the server where this machine has nothing, each chunk once", async () => {
    const { serverUrl, asked } = await serveChunks((_, encoded) => Promise.resolve(encoded));
    const { root } = await mountsOf({ serverUrl, sharedDirs: [] }).hold(imageId);
    const all = await Promise.all(
      Array.from({ length: 8 }, (_, piece) => readBytes(join(root, `piece-${piece}`))),
    );
    expect(all.map((bytes) => bytes[0])).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
    expect(new Set(asked).size).toBe(asked.length);
  });

  test("comes from another node where one has it, and from the server when that is gone", async () => {
    const { serverUrl, asked } = await serveChunks((_, encoded) => Promise.resolve(encoded));
    const onError = (error: unknown): never => expect.unreachable(String(error));
    const place = { port: 0, host: "127.0.0.1", stores: [store], clock, onError };
    const giver = await PeerServer.open(place);
    const key = peerKeyOf(Buffer.alloc(32, 1), "no_giver");
    giver.admit(key);
    const expiresAtMs = Date.now() + 60_000;
    const ticket = peerTicketOf(key, { nodeId: "no_asker", expiresAtMs });
    const mounts = mountsOf({ serverUrl, sharedDirs: [] });
    mounts.meet([{ url: peerUrlOf("127.0.0.1", giver.port), ticket }]);
    const { root } = await mounts.hold(imageId);
    expect((await readBytes(join(root, "piece-0")))[0]).toBe(1);
    expect(asked).toEqual([]);
    await giver.close();
    const all = await Promise.all(
      Array.from({ length: 8 }, (_, piece) => readBytes(join(root, `piece-${piece}`))),
    );
    expect(all.map((bytes) => bytes[0])).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
    expect((await readBytes(join(root, "large"))).byteLength).toBe(8 * PIECE);
    // By another process: this one is the server.
    expect((await readBytes(join(root, "link"))).toString()).toBe("content of 7 ".repeat(7));
  });

  test("gives EIO at the deadline when its store does not answer, and works when it does again", async () => {
    let isHanging = false;
    const errors: unknown[] = [];
    const { serverUrl } = await serveChunks((_, encoded) =>
      isHanging ? new Promise(() => undefined) : Promise.resolve(encoded),
    );
    const mounts = mountsOf({
      serverUrl,
      sharedDirs: [],
      deadlineMs: 2_000,
      onError: (error) => errors.push(error),
    });
    const { root } = await mounts.hold(imageId);
    isHanging = true;
    const hung = readBytes(join(root, "large"));
    await expect(hung).rejects.toThrow("Input/output error");
    // What needs no chunk is answered meanwhile.
    expect(await readdir(join(root, "many"))).toHaveLength(500);
    expect(errors.join("\n")).toContain("no answer within 2000 ms");
    isHanging = false;
    expect((await readBytes(join(root, "large"))).byteLength).toBe(8 * PIECE);
  });

  test("is repaired from the server where a chunk on this machine is damaged", async () => {
    const { serverUrl } = await serveChunks((_, encoded) => Promise.resolve(encoded));
    const mounts = mountsOf({ serverUrl, sharedDirs: [] });
    const { root } = await mounts.hold(imageId);
    await readBytes(join(root, "piece-0"));
    for (const id of index.chunkIds()) {
      const path = join(dir, "cache", id.slice(0, 2), id);
      if (existsSync(path)) writeFileSync(path, "damaged");
    }
    const bytes = await readBytes(join(root, "piece-3"));
    expect(bytes).toEqual(Buffer.alloc(PIECE, 4));
  });

  test("is read with the token of now, though it was mounted with an earlier one", async () => {
    let token = "an old token";
    const { serverUrl, tokens } = await serveChunks((_, encoded) => Promise.resolve(encoded));
    const mounts = mountsOf({ serverUrl, sharedDirs: [], token: () => token });
    const { root } = await mounts.hold(imageId);
    expect(new Set(tokens)).toEqual(new Set(["Bearer an old token"]));
    token = "the token";
    mounts.renewToken();
    // Messages to the process come in order: what it is asked after that has the new one.
    await (await mounts.hold(imageId)).started();
    tokens.length = 0;
    await readBytes(join(root, "large"));
    expect(new Set(tokens)).toEqual(new Set(["Bearer the token"]));
  });

  test("never gives bytes that are not its own, whatever the server says", async () => {
    const errors: unknown[] = [];
    const held = new Set<string>();
    const { serverUrl } = await serveChunks((id, encoded) => {
      if (!held.has(id)) return Promise.resolve(encoded);
      const other = Buffer.from(encoded ?? []);
      other[other.length - 1] = (other[other.length - 1] ?? 0) ^ 0xff;
      return Promise.resolve(other);
    });
    const mounts = mountsOf({
      serverUrl,
      sharedDirs: [],
      deadlineMs: 2_000,
      onError: (error) => errors.push(error),
    });
    const { root } = await mounts.hold(imageId);
    for (const id of index.chunkIds()) held.add(id);
    await expect(readBytes(join(root, "piece-5"))).rejects.toThrow("Input/output error");
  });

  test("fails at once when its process is killed, is cleaned up, and comes back for the next", async () => {
    const errors: unknown[] = [];
    const mounts = mountsOf({ onError: (error) => errors.push(error) });
    const lost: string[] = [];
    const { root } = await mounts.hold(imageId, () => lost.push("first"));
    const second = await mounts.hold(imageId, () => lost.push("second"));
    second.release();
    const pid = mounts.servingPid ?? 0;
    process.kill(pid, "SIGKILL");
    await expect(untilUnmounted(root)).resolves.toBe(true);
    expect(lost).toEqual(["first"]);
    await expect(readBytes(join(root, "large"), 2_000)).rejects.toThrow();
    const again = await mounts.hold(imageId);
    expect(again.root).not.toBe(root);
    expect((await readBytes(join(again.root, "piece-0"))).byteLength).toBe(PIECE);
    expect(mounts.servingPid).not.toBe(pid);
    expect(errors).toHaveLength(1);
  });

  test("that nobody cleaned up is unmounted by the next agent of the folder", async () => {
    const mounts = mountsOf({ onError: () => undefined });
    const { root } = await mounts.hold(imageId);
    const pid = mounts.servingPid ?? 0;
    // As if the agent had died with it: nobody is told.
    process.kill(pid, "SIGSTOP");
    expect(imageMountsUnder(dir)).toEqual([root]);
    await reapImageMounts(join(dir, "images"));
    expect(imageMountsUnder(dir)).toEqual([]);
    process.kill(pid, "SIGKILL");
  });

  test("stays for others when one lets go, and few stay when nobody holds any", async () => {
    const mounts = mountsOf();
    const first = await mounts.hold(imageId);
    const second = await mounts.hold(imageId);
    first.release();
    first.release();
    expect((await readBytes(join(second.root, "piece-1"))).byteLength).toBe(PIECE);
    second.release();
    expect(imageMountsUnder(dir)).toHaveLength(1);
    const again = await mounts.hold(imageId);
    expect(again.root).toBe(first.root);
  });

  test("is fetched ahead by the next node that knows what its start reads", async () => {
    const { serverUrl, asked } = await serveChunks((_, encoded) => Promise.resolve(encoded));
    const first = mountsOf({ serverUrl, sharedDirs: [] });
    const held = await first.hold(imageId);
    await readBytes(join(held.root, "piece-6"));
    await held.started();
    const list = join(dir, "images", "access", imageId);
    const learnt = await readFile(list);
    await first.close();
    await rm(join(dir, "cache"), { recursive: true });
    asked.length = 0;
    await mountsOf({ serverUrl, sharedDirs: [] }).hold(imageId);
    const wanted = Array.from({ length: learnt.byteLength / 4 }, (_, position) =>
      index.chunkId(learnt.readUInt32LE(position * 4)),
    );
    expect(wanted.length).toBeGreaterThan(0);
    const isThere = (): boolean => wanted.every((id) => asked.includes(id));
    for (let tries = 0; tries < 200 && !isThere(); tries += 1) await sleep(10);
    // Nobody has read a byte of it on this mount.
    expect(isThere()).toBe(true);
  });

  test("that is none is refused with the reason", async () => {
    const mounts = mountsOf();
    await expect(mounts.hold("0".repeat(64))).rejects.toMatchObject({ code: "not_found" });
    await expect(mounts.hold(index.chunkId(0))).rejects.toMatchObject({ code: "invalid_request" });
  });
});

async function untilUnmounted(root: string): Promise<boolean> {
  for (let tries = 0; tries < 200; tries += 1) {
    if (!imageMountsUnder(dir).includes(root)) return true;
    await sleep(10);
  }
  return false;
}
