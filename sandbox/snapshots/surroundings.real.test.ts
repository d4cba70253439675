/**
 * What is around a restored process is its own: its image is mounted again, wherever that is, and
 * its way out is a proxy of its own.
 */
import { mkdir, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { encodeArchive } from "../../sdk/protocol/index.ts";
import type { OpenFiles } from "../agent/container-image.ts";
import { parseRanges } from "../egress/egress-gate.ts";
import type { AuditEntry } from "../egress/egress-proxy.ts";
import { prepareBaseImage } from "../images/base-image.ts";
import { preparePythonImage } from "../images/python-image.ts";
import { ImageMounts } from "../lazyfs/image-mounts.ts";
import { HOOK } from "../runners/node/sdk-hook.ts";
import { openDiskTier } from "../store/index.ts";
import { ingestTree } from "../store/ingest-tree.ts";
import { systemClock } from "../system-clock.ts";
import { TestContainers, type ContainersOptions } from "./test-containers.ts";
import { RealBench } from "./test-real.ts";

const PYTHON_ENTRY = { python: { module: "model", handler: "main" } };
const pythonCode = (source: string): ContainersOptions => ({
  code: encodeArchive([{ path: "model.py", data: Buffer.from(source) }]),
  start: PYTHON_ENTRY,
});
const nodeCode = (source: string): ContainersOptions => ({ code: Buffer.from(HOOK + source) });

let bench: RealBench;
let server: Server;
let port: number;
const audit: AuditEntry[] = [];

beforeAll(async () => {
  server = createServer((_, response) => response.end("hello")).listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  ({ port } = server.address() as AddressInfo);
  const openRanges = parseRanges(["127.0.0.1"]);
  bench = await RealBench.open("runsc", {
    clock: systemClock,
    ...(openRanges === undefined ? {} : { openRanges }),
    onAudit: (entry) => audit.push(entry),
  });
});

afterAll(async () => {
  await bench.close();
  server.close();
});

describe("a function with an image", () => {
  const READ_IN_NODE = `
import { readFileSync } from "node:fs";
const atLoad = readFileSync("/data/at-load", "utf8");
export const main = (name) => [atLoad, readFileSync("/data/" + name, "utf8")];`;
  const READ_IN_PYTHON = `
with open("/data/at-load") as file:
    at_load = file.read()

def main(name):
    with open("/data/" + name) as file:
        return [at_load, file.read()]
`;
  const trees = {
    Node: { options: nodeCode(READ_IN_NODE), tree: () => prepareBaseImage(join(bench.dir, "own")) },
    Python: {
      options: pythonCode(READ_IN_PYTHON),
      tree: () => preparePythonImage(join(bench.dir, "own")),
    },
  };

  test.each(Object.entries(trees))(
    "in %s is restored where its image is mounted elsewhere",
    async (language, { options, tree }) => {
      const root = await tree();
      await mkdir(join(root, "data"));
      for (const name of ["at-load", "later", "last"]) {
        await writeFile(join(root, "data", name), `${name} `.repeat(40_000));
      }
      const store = join(bench.dir, `store-${language}`);
      const { imageId } = await ingestTree(root, await openDiskTier({ dir: store }));
      const roots: string[] = [];
      const mounts = Array.from({ length: 3 }, (_, count) =>
        mountsAt(`${language}-${count}`, store),
      );
      const openFiles: OpenFiles = async ({ onLost }) => {
        const held = await (mounts[Math.min(roots.length, 2)] ?? expect.unreachable()).hold(
          imageId,
          () => onLost("unmounted"),
        );
        roots.push(held.root);
        return {
          files: { image: { rootfs: held.root, node: "/bin/node" } },
          started: () => void held.started(),
          release: () => {
            held.release();
            return Promise.resolve();
          },
        };
      };
      const start = { ...options.start, imageId: "im_1", contentId: imageId };
      const containers = await TestContainers.open(bench, { ...options, start, openFiles });
      const first = await containers.runOne("later");
      await containers.snapshots.idle();
      // Where it was loaded nothing is mounted any more.
      await mounts[0]?.close();
      await mounts[1]?.close();
      const second = await containers.runOne("last");
      expect(containers.errors).toEqual([]);
      expect([first.isRestored, second.isRestored]).toEqual([false, true]);
      expect(first.value).toEqual(["at-load ".repeat(40_000), "later ".repeat(40_000)]);
      expect(second.value).toEqual(["at-load ".repeat(40_000), "last ".repeat(40_000)]);
      expect(new Set(roots).size).toBe(3);
      const other = await TestContainers.open(bench, {
        ...options,
        start: { ...start, contentId: "f".repeat(64) },
        openFiles,
      });
      expect((await other.runOne("last")).isRestored).toBe(false);
      await containers.snapshots.close();
      await other.snapshots.close();
      await mounts[2]?.close();
    },
  );

  function mountsAt(name: string, store: string): ImageMounts {
    return new ImageMounts({
      dir: join(bench.dir, `mounts-${name}`),
      serving: {
        cacheDir: join(bench.dir, `cache-${name}`),
        cacheBytesMax: 1e9,
        sharedDirs: [store],
        deadlineMs: 10_000,
      },
      token: () => "none",
      clock: systemClock,
      onError: (error) => expect.unreachable(String(error)),
    });
  }
});

describe("a function that may reach hosts", () => {
  const NODE = `
export const main = async (url) => {
  try {
    const answer = await fetch(url);
    return answer.status + " " + (await answer.text());
  } catch (error) { return "failed " + (error.cause?.message ?? error.message); }
};`;
  const PYTHON = `
import os, urllib.error, urllib.request
import flotilla

entered = []

@flotilla.enter
def connect():
    entered.append("http_proxy" in os.environ)

def main(url):
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return f"{answer.status} {answer.read().decode()}"
    except (urllib.error.URLError, OSError) as error:
        return f"failed {error}"
`;
  const IN_PROCESSES = { python: { ...PYTHON_ENTRY.python, workers: "processes" as const } };
  const codes = {
    "in Node": nodeCode(NODE),
    "in Python": pythonCode(PYTHON),
    "in processes of Python": { ...pythonCode(PYTHON), start: IN_PROCESSES },
  };

  test.each(Object.entries(codes))("reaches them %s after a restore", async (_, options) => {
    const start = { ...options.start, allowHosts: [`127.0.0.1:${port}`] };
    const containers = await TestContainers.open(bench, { ...options, start });
    const env = { NO_PROXY: "none", no_proxy: "none" };
    const url = `http://127.0.0.1:${port}/`;
    const first = await containers.runOne(url, env);
    await containers.snapshots.idle();
    audit.length = 0;
    const second = await containers.runOne(url, env);
    const third = await containers.runOne("http://127.0.0.1:18124/", env);
    expect(containers.errors).toEqual([]);
    expect([first, second, third].map(({ isRestored }) => isRestored)).toEqual([false, true, true]);
    expect([first.value, second.value]).toEqual(["200 hello", "200 hello"]);
    expect(third.value).toMatch(/failed|^403/);
    // Each by the proxy of its own container.
    const own = audit.map(({ containerId, outcome }) => [containerId.split("_").at(-1), outcome]);
    expect(own).toEqual([
      ["2", "closed"],
      ["3", "refused"],
    ]);
    await containers.snapshots.close();
  });
});
