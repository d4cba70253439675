import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buffer } from "node:stream/consumers";
import { afterEach, beforeEach, expect, test } from "vitest";
import { assert } from "../../core/index.ts";
import { ENTROPY_ADDON_FILE, ingestTree, LAZYFS_FILE, openDiskTier } from "../../sandbox/index.ts";
import { AgentFiles } from "./agent-files.ts";

let dir: string;
let child: ChildProcess | undefined;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "flotilla-files-"));
});

afterEach(async () => {
  if (child !== undefined) {
    // Its parent is gone: it unmounts and ends.
    child.disconnect();
    await once(child, "exit");
    child = undefined;
  }
  await rm(dir, { recursive: true });
});

test("the add-on for memory snapshots is among the files, and the served Node can load it", async () => {
  const files = await new AgentFiles().all();
  const file = files.find(({ name }) => name === ENTROPY_ADDON_FILE);
  assert(file !== undefined, "this machine has a compiler");
  const path = join(dir, ENTROPY_ADDON_FILE);
  await writeFile(path, await buffer(file.open()));
  const module: { exports: unknown } = { exports: {} };
  process.dlopen(module, path);
  const reseed = module.exports as (entropy: Buffer) => boolean;
  expect(reseed(Buffer.alloc(64, 7))).toBe(true);
  expect(reseed(Buffer.alloc(1))).toBe(false);
});

test.skipIf(!existsSync("/dev/fuse") || process.getuid?.() !== 0)(
  "the file that serves images does so alone, its threads too",
  async () => {
    const file = (await new AgentFiles().all()).find(({ name }) => name === LAZYFS_FILE);
    assert(file !== undefined, "it is among the files");
    const path = join(dir, LAZYFS_FILE);
    await writeFile(path, await buffer(file.open()));
    mkdirSync(join(dir, "tree"));
    writeFileSync(join(dir, "tree", "hello"), "from a chunk");
    const chunks = await openDiskTier({ dir: join(dir, "chunks") });
    const { imageId } = await ingestTree(join(dir, "tree"), chunks);

    child = fork(path, [dir], { cwd: dir, execArgv: [], stdio: ["ignore", 2, 2, "ipc"] });
    const config = {
      cacheDir: join(dir, "cache"),
      cacheBytesMax: 1e9,
      sharedDirs: [join(dir, "chunks")],
      deadlineMs: 10_000,
    };
    const mountPoint = join(dir, "mount");
    child.send({ type: "open", config, token: "none" });
    child.send({ type: "mount", mountId: "m", imageId, mountPoint, prefetch: [] });
    const [message] = (await once(child, "message")) as readonly unknown[];
    expect(message).toEqual({ type: "mounted", mountId: "m" });
    expect(await readFile(join(mountPoint, "hello"), "utf8")).toBe("from a chunk");
  },
);
