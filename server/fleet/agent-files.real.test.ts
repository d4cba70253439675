import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buffer } from "node:stream/consumers";
import { afterEach, expect, test } from "vitest";
import { assert } from "../../core/index.ts";
import { ingestTree, LAZYFS_FILE, openDiskTier } from "../../sandbox/index.ts";
import { AgentFiles } from "./agent-files.ts";

const dir = mkdtempSync(join(tmpdir(), "flotilla-files-"));
let child: ChildProcess | undefined;

afterEach(async () => {
  if (child !== undefined) {
    // Its parent is gone: it unmounts and ends.
    child.disconnect();
    await once(child, "exit");
  }
  await rm(dir, { recursive: true });
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
    child.send({ type: "mount", imageId, mountPoint, prefetch: [] });
    const [message] = (await once(child, "message")) as readonly unknown[];
    expect(message).toEqual({ type: "mounted", imageId });
    expect(await readFile(join(mountPoint, "hello"), "utf8")).toBe("from a chunk");
  },
);
