/** An image on a machine that did not build it: through a lazy mount, whatever happens to it. */
import {
  existsSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { mountsUnder, processesOf } from "../../scripts/platform/sweep.ts";
import type { ContainerSummary } from "../../sdk/protocol/index.ts";
import { TestPlatform } from "../support/platform.ts";

const FIXTURE = join(import.meta.dirname, "../fixtures/lazy-images.ts");
const CONTENT = readFileSync(FIXTURE, "utf8");
const TEST_MS = 180_000;
const platform = new TestPlatform();

beforeAll(async () => {
  const boot = ["--emulated-clouds", "--emulated-boot-ms", "100"];
  await platform.start(boot, { FLOTILLA_PEER_PORT: "0" });
  platform.cli("deploy", FIXTURE);
}, TEST_MS);

afterAll(async () => {
  expect(await platform.close()).toEqual({ processes: [], mounts: 0 });
});

/** Folders of the agents of rented machines. */
const agentDirs = (): readonly string[] => {
  const dir = join(platform.dataDir, "agents");
  return readdirSync(dir).map((name) => join(dir, name));
};
const mounts = (): readonly string[] => agentDirs().flatMap((dir) => mountsUnder(dir));
const servingPids = (): readonly number[] =>
  agentDirs().flatMap((dir) => {
    const chunks = join(dir, "chunks");
    return processesOf(chunks).filter((pid) =>
      readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0").includes(chunks),
    );
  });
const chunksIn = (dir: string): readonly string[] =>
  readdirSync(dir, { recursive: true, encoding: "utf8" })
    .map((name) => join(dir, name))
    .filter((path) => statSync(path).isFile());
const until = async (isSo: () => boolean | Promise<boolean>, what: string): Promise<void> => {
  for (let tries = 0; tries < 600; tries += 1) {
    if (await isSo()) return;
    await sleep(50);
  }
  throw new Error(`${what} did not come about`);
};
const containersNow = () =>
  platform.get<{ readonly containers: readonly ContainerSummary[] }>("/v1/containers");
const isWorking = async (functionName: string): Promise<boolean> => {
  const { containers } = await containersNow();
  return containers.some((one) => one.function === functionName && one.state === "busy");
};

// Each begins with what the one before it left.
describe("an image", { shuffle: false }, () => {
  test(
    "a container on a rented machine runs in the image, and the next one shares its mount",
    async () => {
      const read = await platform.lookup<[], string>("lazy-images", "read");
      expect(await read.remote()).toBe(CONTENT);
      const [mount, ...others] = mounts();
      expect(others).toEqual([]);
      const beside = await platform.lookup<[], number>("lazy-images", "beside");
      expect(await beside.remote()).toBe(CONTENT.length);
      expect(mounts()).toEqual([mount]);
      expect(servingPids()).toHaveLength(1);
    },
    TEST_MS,
  );

  test(
    "when the process that serves images dies, inputs run again through another mount",
    async () => {
      const work = await platform.lookup<[number], number>("lazy-images", "work");
      const before = mounts();
      const answer = work.remote(2_000);
      await until(() => isWorking("work"), "the input running");
      for (const pid of servingPids()) process.kill(pid, "SIGKILL");
      expect(await answer).toBe(CONTENT.length);
      await until(() => mounts().length === 1, "the dead mount gone");
      expect(mounts()).not.toEqual(before);
      expect(servingPids()).toHaveLength(1);
    },
    TEST_MS,
  );

  test(
    "a second machine has from the first one what the server has lost",
    async () => {
      const chunks = join(platform.dataDir, "chunks");
      renameSync(chunks, `${chunks}-away`);
      try {
        const elsewhere = await platform.lookup<[], string>("lazy-images", "elsewhere");
        expect(await elsewhere.remote()).toBe(CONTENT);
      } finally {
        rmSync(chunks, { recursive: true, force: true });
        renameSync(`${chunks}-away`, chunks);
      }
      expect(mounts()).toHaveLength(2);
    },
    TEST_MS,
  );

  test(
    "chunks that are damaged on the machine are fetched anew",
    async () => {
      const chunks = agentDirs()
        .filter((dir) => mountsUnder(dir).length > 0)
        .flatMap((dir) => chunksIn(join(dir, "chunks")));
      expect(chunks.length).toBeGreaterThan(10);
      for (const path of chunks) writeFileSync(path, "damaged");
      // A mount of its own, of which the kernel remembers nothing.
      for (const pid of servingPids()) process.kill(pid, "SIGKILL");
      const read = await platform.lookup<[], string>("lazy-images", "read");
      expect(await read.remote()).toBe(CONTENT);
      // Of others the damaged copy is there still, or was removed and is not fetched yet.
      const mended = chunks.filter(
        (path) => existsSync(path) && readFileSync(path, "latin1") !== "damaged",
      );
      expect(mended.length).toBeGreaterThan(10);
    },
    TEST_MS,
  );

  test(
    "pruning removes the chunks of images that nothing runs on",
    async () => {
      const dir = join(platform.dataDir, "chunks");
      const before = chunksIn(dir).length;
      platform.cli("image", "prune");
      expect(chunksIn(dir)).toHaveLength(before);
      platform.cli("app", "stop", "lazy-images");
      await until(() => {
        platform.cli("image", "prune");
        return chunksIn(dir).length === 0;
      }, "the chunks gone");
    },
    TEST_MS,
  );
});
