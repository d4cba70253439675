import { beforeEach, expect, test } from "vitest";
import type { BuildEvent, ImageDefinition } from "../../sdk/protocol/index.ts";
import { StepFailedError, type BuildRequest } from "../../sandbox/index.ts";
import type { StoredDeployment, StoredImage } from "../store/record-store.ts";
import { openRecordStore } from "../store/sqlite/open.ts";
import type { ImageService } from "../services.ts";
import { createImageService } from "./image-service.ts";

const WHO = { workspaceId: "main", tokenId: "to_1" };
const DEFINITION: ImageDefinition = { version: 1, base: { kind: "scratch" }, steps: [] };
const LAYERS = ["base", "top"];

let images: ImageService;
let layers: Map<string, number>;
let roots: Set<string>;
let stored: ReturnType<typeof openRecordStore>;
let nowMs: number;
let diskBytesMax: number;
let act: (request: BuildRequest) => Promise<void>;

beforeEach(() => {
  nowMs = 1_000;
  diskBytesMax = 1_000;
  layers = new Map();
  roots = new Set();
  act = () => Promise.resolve();
  stored = openRecordStore(":memory:");
  open();
});

function open(): void {
  const builder = {
    busyKeys: new Set<string>(),
    store: {
      layers: () =>
        Promise.resolve(
          [...layers].map(([key, byteCount]) => ({ key, byteCount, step: "", createdAtMs: 0 })),
        ),
      removeLayer: (key: string) => Promise.resolve(void layers.delete(key)),
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
        wasCached: false,
      };
    },
  };
  images = createImageService({
    store: stored,
    builder,
    clock: { nowMs: () => nowMs },
    diskBytesMax,
    onError: (error) => {
      throw error;
    },
  });
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
    { kind: "built", image: { imageId: ID, byteCount: 20, wasCached: false } },
  ]);
  const expected: Partial<StoredImage> = {
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
  expect(await images.prune(WHO)).toEqual({ images: [], layerCount: 0, freedByteCount: 0 });
  await stored.registry.stop(appId, 2);
  expect(await images.prune(WHO)).toEqual({ images: [ID], layerCount: 2, freedByteCount: 20 });
  expect([layers.size, roots.size]).toEqual([0, 0]);
  expect((await images.list(WHO)).images).toEqual([]);
});

test("layers that a build under way has found are not removed under it", async () => {
  await build();
  const pruned = Promise.withResolvers<undefined>();
  act = async () => {
    const report = await images.prune(WHO);
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
    clock: { nowMs: () => nowMs },
    diskBytesMax,
    onError: () => undefined,
  });
  expect(await build()).toEqual([
    { kind: "failed", code: "unavailable", message: "not here", lastLines: [] },
  ]);
  expect(await images.list(WHO)).toEqual({ images: [], layerCount: 0, diskByteCount: 0 });
});
