import { createHash } from "node:crypto";
import { existsSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, expect, test } from "vitest";
import type { BuildEvent, ImageDefinition } from "../../sdk/protocol/index.ts";
import { StepFailedError, type BuildRequest } from "../../sandbox/index.ts";
import type { StoredDeployment, StoredImage } from "../store/record-store.ts";
import { openRecordStore } from "../store/sqlite/open.ts";
import type { ImageService } from "../services.ts";
import { createImageService, type ImageServiceOptions } from "./image-service.ts";

const WHO = { workspaceId: "main", tokenId: "to_1" };
const DEFINITION: ImageDefinition = { version: 1, base: { kind: "scratch" }, steps: [] };
const LAYERS = ["base", "top"];

let images: ImageService;
let layers: Map<string, number>;
let roots: Set<string>;
let stored: ReturnType<typeof openRecordStore>;
let nowMs: number;
let diskBytesMax: number;
let wasCached: boolean;
let kept: Set<string>;
let content: ImageServiceOptions["content"];
let act: (request: BuildRequest) => Promise<void>;

beforeEach(() => {
  nowMs = 1_000;
  diskBytesMax = 1_000;
  layers = new Map();
  roots = new Set();
  wasCached = false;
  kept = new Set();
  content = {
    has: (contentId) => Promise.resolve(kept.has(contentId)),
    store: async (root, keep) => {
      const contentId = `content of ${root}`;
      kept.add(contentId);
      const { leases } = stored.chunkRecords("chunks");
      await leases.begin("one", nowMs);
      await keep(contentId, "one").finally(() => leases.end("one"));
    },
    collect: async () => {
      const used = (await stored.images.list()).map(({ contentId }) => contentId);
      const gone = [...kept].filter((contentId) => !used.includes(contentId));
      for (const contentId of gone) kept.delete(contentId);
      return gone.length * 5;
    },
    bytesWithout: (contentIds) => Promise.resolve(contentIds.length * 5),
  };
  act = () => Promise.resolve();
  stored = openRecordStore(":memory:");
  open();
});

function open(onError: ImageServiceOptions["onError"] = unexpected): void {
  const builder = {
    busyKeys: new Set<string>(),
    store: {
      layers: () =>
        Promise.resolve(
          [...layers].map(([key, byteCount]) => ({ key, byteCount, step: "", createdAtMs: 0 })),
        ),
      find: (key: string) =>
        Promise.resolve({ key, byteCount: 10, step: `step of ${key}`, createdAtMs: 0 }),
      workFolder: () => Promise.resolve(mkdtempSync(join(tmpdir(), "flotilla-work-"))),
      removeLayer: (key: string) => Promise.resolve(void layers.delete(key)),
      roots: () => Promise.resolve([...roots]),
      rootOf: (imageId: string) => `/roots/${imageId}`,
      removeRoot: (imageId: string) => Promise.resolve(void roots.delete(imageId)),
    },
    build: async (request: BuildRequest) => {
      request.onPlanned?.(LAYERS);
      await act(request);
      for (const key of LAYERS) layers.set(key, 10);
      const imageId = request.definition.base.kind === "scratch" ? ID : OTHER_ID;
      roots.add(imageId);
      const config = { env: { PATH: "/bin" }, workdir: "/srv" };
      return {
        ...config,
        imageId,
        byteCount: 20,
        layerKeys: LAYERS,
        words: ["empty"],
        wasCached,
      };
    },
  };
  images = createImageService({
    store: stored,
    builder,
    content,
    secrets: { valuesOf: (who, name) => Promise.resolve({ [name]: who.workspaceId }) },
    clock: { nowMs: () => nowMs },
    diskBytesMax,
    onError,
  });
}

function unexpected(error: unknown): never {
  throw error;
}

const ID = "a".repeat(64);
const OTHER_ID = "b".repeat(64);

async function build(definition = DEFINITION, signal = new AbortController().signal) {
  const events: BuildEvent[] = [];
  await images.build(WHO, definition, { signal, onEvent: (event) => void events.push(event) });
  return events;
}

async function deploy(image: string): Promise<StoredDeployment> {
  return stored.registry.deploy({
    appId: "ap_1",
    workspaceId: "main",
    app: "demo",
    mode: "deployed",
    codeSha256: "0".repeat(64),
    functions: [{ functionId: "fn_1", name: "square", spec: { image } }],
    createdAtMs: 1,
  });
}

test("a built image is told, remembered with what functions get of it, and listed", async () => {
  expect(await build()).toEqual([
    { kind: "log", index: 1, text: "storing the files of the image for its nodes" },
    { kind: "built", image: { imageId: ID, byteCount: 20, wasCached: false } },
  ]);
  const expected: Partial<StoredImage> = {
    contentId: `content of /roots/${ID}`,
    env: { PATH: "/bin" },
    workdir: "/srv",
    createdAtMs: 1_000,
  };
  expect(await stored.images.find("main", ID)).toMatchObject(expected);
  await deploy(ID);
  const { images: listed, layerCount, diskByteCount } = await images.list(WHO);
  expect(listed).toMatchObject([{ imageId: ID, usedBy: ["demo/square"] }]);
  expect([layerCount, diskByteCount]).toEqual([2, 20]);
  expect((await images.list({ ...WHO, workspaceId: "other" })).images).toEqual([]);
});

test("the secrets that a definition names are those of its workspace", async () => {
  let values: unknown;
  act = async ({ secretValues }) => {
    values = await secretValues?.("ghcr");
  };
  await build({ ...DEFINITION, base: { kind: "registry", ref: "x", secret: "ghcr" } });
  expect(values).toEqual({ ghcr: "main" });
});

test("files that only another workspace has sent are refused, in stages too", async () => {
  const files = (sha256: string) => ({ kind: "files", target: "/", archives: [sha256] }) as const;
  await stored.blobOwners.add("main", ID);
  await stored.blobOwners.add("other", OTHER_ID);
  const asked = async (own: string, ofStage: string) => {
    const stages = [{ base: { kind: "scratch" } as const, steps: [files(ofStage)] }];
    return (await build({ ...DEFINITION, steps: [files(own)], stages })).at(-1);
  };
  expect(await asked(ID, ID)).toMatchObject({ kind: "built" });
  for (const [own, ofStage] of [
    [OTHER_ID, ID],
    [ID, OTHER_ID],
  ] as const) {
    const message = expect.stringContaining(`${OTHER_ID} were never uploaded`) as string;
    expect(await asked(own, ofStage)).toMatchObject({ kind: "failed", message });
  }
});

test("a step that fails is told with what it said last, and nothing is remembered", async () => {
  act = () => Promise.reject(new StepFailedError("ended with 7", ["one", "two"]));
  expect(await build()).toEqual([
    { kind: "failed", code: "build_failed", message: "ended with 7", lastLines: ["one", "two"] },
  ]);
  expect((await images.list(WHO)).images).toEqual([]);
});

test("nobody is told of a build that was cancelled", async () => {
  const cancelling = new AbortController();
  act = ({ signal }) => {
    cancelling.abort(new Error("gone"));
    signal.throwIfAborted();
    return Promise.resolve();
  };
  expect(await build(DEFINITION, cancelling.signal)).toEqual([]);
  expect((await images.list(WHO)).images).toEqual([]);
});

test("pruning removes what nothing runs on, with its root and its layers", async () => {
  await build();
  const { appId } = await deploy(ID);
  expect(await images.prune(WHO, { isDryRun: false })).toEqual({
    images: [],
    layerCount: 0,
    freedByteCount: 0,
  });
  await stored.registry.stop(appId, 2);
  const everything = { images: [ID], layerCount: 2, freedByteCount: 25 };
  expect(await images.prune(WHO, { isDryRun: true })).toEqual(everything);
  expect([layers.size, roots.size, kept.size]).toEqual([2, 1, 1]);
  expect(await images.prune(WHO, { isDryRun: false })).toEqual(everything);
  expect([layers.size, roots.size, kept.size]).toEqual([0, 0, 0]);
  expect((await images.list(WHO)).images).toEqual([]);
});

test("files of an image that is built already are not stored again, unless they are gone", async () => {
  await build();
  wasCached = true;
  const notes = async () => (await build()).filter(({ kind }) => kind === "log").length;
  expect(await notes()).toBe(0);
  kept.clear();
  expect(await notes()).toBe(1);
  // Another workspace's record, and this one's too.
  await images.build({ ...WHO, workspaceId: "other" }, DEFINITION, {
    signal: new AbortController().signal,
    onEvent: () => undefined,
  });
  expect((await stored.images.find("other", ID))?.contentId).toBe(`content of /roots/${ID}`);
});

test("files whose image is pruned while it is found built are stored again", async () => {
  await build();
  wasCached = true;
  act = async () => {
    await images.prune(WHO, { isDryRun: false });
    expect(kept.size).toBe(0);
  };
  await build();
  const contentId = (await stored.images.find("main", ID))?.contentId ?? "";
  expect(kept).toEqual(new Set([contentId]));
});

test("the root of an image that is about to be stored is not removed under it", async () => {
  await build();
  const store = content.store;
  content = {
    ...content,
    store: async (root, keep) => {
      await images.prune(WHO, { isDryRun: false });
      expect(roots).toContain(ID);
      await store(root, keep);
    },
  };
  open();
  await build();
  expect((await images.list(WHO)).images).toHaveLength(1);
});

test("chunks that cannot be removed now are told of, and the images are gone nevertheless", async () => {
  await build();
  const told: string[] = [];
  content = { ...content, collect: () => Promise.reject(new Error("the store is away")) };
  open((_, doing) => told.push(doing));
  expect(await images.prune(WHO, { isDryRun: false })).toMatchObject({
    images: [ID],
    layerCount: 2,
  });
  expect(told).toEqual(["removing the chunks of images"]);
});

test("layers that a build under way has found are not removed under it", async () => {
  await build();
  const pruned = Promise.withResolvers<undefined>();
  act = async () => {
    const report = await images.prune(WHO, { isDryRun: false });
    expect(report).toMatchObject({ images: [ID], layerCount: 0 });
    pruned.resolve(undefined);
  };
  await build({ ...DEFINITION, base: { kind: "registry", ref: "x" } });
  await pruned.promise;
  expect(layers.size).toBe(2);
});

test("beyond the disk's share, what nothing runs on goes after the next build, but what is fresh", async () => {
  await build();
  layers.set("loose", 990);
  await build();
  expect([...layers.keys()]).toEqual(LAYERS);
  diskBytesMax = 5;
  open();
  await build();
  expect([...layers.keys()]).toEqual(LAYERS);
  nowMs += 15 * 60_000;
  await build({ ...DEFINITION, base: { kind: "registry", ref: "x" } });
  expect((await images.list(WHO)).images.map(({ imageId }) => imageId)).toEqual([OTHER_ID]);
});

test("without a builder, builds say why", async () => {
  images = createImageService({
    store: stored,
    builder: { absent: "not here" },
    content,
    secrets: { valuesOf: (who, name) => Promise.resolve({ [name]: who.workspaceId }) },
    clock: { nowMs: () => nowMs },
    diskBytesMax,
    onError: () => undefined,
  });
  expect(await build()).toEqual([
    { kind: "failed", code: "unavailable", message: "not here", lastLines: [] },
  ]);
  expect(await images.list(WHO)).toEqual({ images: [], layerCount: 0, diskByteCount: 0 });
});

async function* archiveOf(text: string): AsyncGenerator<Uint8Array> {
  await Promise.resolve();
  yield Buffer.from(text);
}

test("an image of files is built above another, listed by their words, and kept until deleted", async () => {
  await build();
  let asked: BuildRequest | undefined;
  act = (request) => Promise.resolve(void (asked = request));
  const above: ImageDefinition = { version: 1, base: { kind: "image", imageId: ID }, steps: [] };
  const events: BuildEvent[] = [];
  const follow = {
    signal: new AbortController().signal,
    onEvent: (event: BuildEvent) => void events.push(event),
  };
  const files = { archive: archiveOf("files"), words: "files of a sandbox" };
  await images.build(WHO, above, follow, files);
  expect(events.at(-1)).toMatchObject({ kind: "built", image: { imageId: OTHER_ID } });
  const [step] = asked?.definition.steps ?? [];
  const [sha256] = step?.kind === "files" ? step.archives : [];
  expect(sha256).toBe(createHash("sha256").update("files").digest("hex"));
  expect(existsSync(asked?.archiveFiles?.get(sha256 ?? "") ?? "")).toBe(false);
  expect(await asked?.builtImage?.(ID)).toEqual({
    env: { PATH: "/bin" },
    workdir: "/srv",
    layers: LAYERS.map((key) => ({ key, words: `step of ${key}` })),
  });

  expect((await images.prune(WHO, { isDryRun: false })).images).toEqual([ID]);
  const { images: listed } = await images.list(WHO);
  expect(listed).toMatchObject([{ imageId: OTHER_ID, steps: ["files of a sandbox"] }]);
  await images.remove(WHO, OTHER_ID);
  expect(kept).toEqual(new Set());
  await expect(images.remove(WHO, OTHER_ID)).rejects.toMatchObject({ code: "not_found" });
});

test("an image that is asked for by its id is found in its own workspace alone", async () => {
  await build();
  act = ({ builtImage }) => builtImage?.(ID).then(() => undefined) ?? Promise.resolve();
  const above: ImageDefinition = { version: 1, base: { kind: "image", imageId: ID }, steps: [] };
  const cached = { imageId: ID, byteCount: 20, wasCached: true };
  expect(await build(above)).toEqual([{ kind: "built", image: cached }]);
  const events: BuildEvent[] = [];
  const signal = new AbortController().signal;
  const other = { workspaceId: "other", tokenId: "to_2" };
  await images.build(other, above, { signal, onEvent: (event) => void events.push(event) });
  expect(events).toMatchObject([{ kind: "failed", code: "not_found" }]);
});

test("an image in use is not deleted", async () => {
  await build();
  await deploy(ID);
  await expect(images.remove(WHO, ID)).rejects.toMatchObject({
    code: "conflict",
    message: expect.stringMatching(/in use by demo\/square/) as string,
  });
});
