/** Runners that have booted in an image, or with a way out: whose they are, and what they hold. */
import { afterEach, beforeEach, expect, test } from "vitest";
import { FakeClock, settled } from "../fake/clock.ts";
import { FakeRuntime } from "../fake/runtime.ts";
import { makeHeld } from "../images/held-sandbox.ts";
import type { NodeImages, WantedImage } from "../images/node-images.ts";
import { imageAt } from "../images/node-images.ts";
import type { RunningSandbox, SandboxSpec } from "../runtime/runtime.ts";
import { withBooted } from "./booted.ts";
import { ReadyPool } from "./ready-pool.ts";

const SOURCE = { workspaceId: "ws_1", imageId: "im_1", contentId: "c".repeat(64) };
const RESOURCES = { gpuCount: 0, cpuMilli: 125, memoryMiB: 256 };

/** Images that are mounted somewhere else each time. */
class TestImages implements Pick<NodeImages, "hold"> {
  readonly wanted: WantedImage[] = [];
  readonly lose: (() => void)[] = [];
  held = 0;
  failure: Error | undefined;

  hold: NodeImages["hold"] = (wanted, onLost) => {
    if (this.failure !== undefined) return Promise.reject(this.failure);
    this.wanted.push(wanted);
    this.lose.push(onLost);
    this.held += 1;
    const image = imageAt(`/mounts/${this.wanted.length}`, SOURCE, wanted.workdir);
    return Promise.resolve({ image, started: () => undefined, release: () => (this.held -= 1) });
  };
}

let runtime: FakeRuntime;
let images: TestImages;
let errors: string[];
let pool: ReadyPool;
beforeEach(() => {
  [runtime, images, errors] = [new FakeRuntime(), new TestImages(), []];
  pool = new ReadyPool({
    clock: new FakeClock(),
    countMax: 3,
    usual: [],
    makeHeld: (spec, make) => makeHeld(images, spec, make),
    hasRoom: () => true,
    onError: (error) => errors.push(String(error)),
  });
});
afterEach(async () => {
  await pool.close();
});

const inImage = (changes: Partial<typeof SOURCE> = {}, at = "/mounts/own"): SandboxSpec => {
  const image = imageAt(at, { ...SOURCE, ...changes }, "/app");
  return { containerId: "co_1", resources: RESOURCES, env: {}, image };
};

/** Starts a container; afterwards one of its kind is kept ready. */
async function start(spec: SandboxSpec): Promise<RunningSandbox> {
  const sandbox = await withBooted(runtime, pool).start(spec);
  await settled();
  return sandbox;
}

test("after a container with an image, one that has booted in it waits for the next", async () => {
  await start(inImage());
  expect(runtime.started).toHaveLength(2);
  const ahead = runtime.last;
  expect(images.wanted).toEqual([{ ...SOURCE, workdir: "/app" }]);
  expect(ahead.spec.image).toMatchObject({ rootfs: "/mounts/1", workdir: "/app" });
  // Wherever the image is mounted by then.
  expect(await start({ ...inImage({}, "/mounts/other"), containerId: "co_2" })).toBe(ahead);
});

test("another workspace with the very same image gets a sandbox of its own", async () => {
  await start(inImage());
  const ahead = runtime.last;
  const other = await start({ ...inImage({ workspaceId: "ws_2" }), containerId: "co_2" });
  expect(other).not.toBe(ahead);
  expect(ahead.told).toEqual([]);
  expect(pool.kept.map(({ image }) => image?.source?.workspaceId).sort()).toEqual(["ws_1", "ws_2"]);
});

test.each([
  ["another image", { imageId: "im_2" }],
  ["other content under the same name", { contentId: "d".repeat(64) }],
])("%s is another kind", async (_, changes) => {
  await start(inImage());
  const ahead = runtime.last;
  expect(await start(inImage(changes))).not.toBe(ahead);
});

test("what has been handed out never comes back, and the next one is fresh", async () => {
  await start(inImage());
  const first = await start({ ...inImage(), containerId: "co_2" });
  const second = await start({ ...inImage(), containerId: "co_3" });
  expect(second).not.toBe(first);
  expect(new Set(runtime.started).size).toBe(runtime.started.length);
  for (const kept of pool.kept) expect(kept.containerId).toMatch(/^warm_/);
});

test("the image is held until the sandbox has ended, whoever has it by then", async () => {
  await start(inImage());
  const taken = await start({ ...inImage(), containerId: "co_2" });
  // Two were started within a minute, so two wait beside the one that was taken.
  expect(images.held).toBe(3);
  taken.kill();
  await settled();
  expect(images.held).toBe(2);
  await pool.close();
  await settled();
  expect(images.held).toBe(0);
});

test("an image that can be read no more ends what waits in it", async () => {
  await start(inImage());
  images.lose[0]?.();
  await settled();
  expect(pool.kept).toEqual([]);
  expect(runtime.last.kills).toBe(1);
});

test("an image that cannot be had costs nothing but one error, and containers start as without", async () => {
  images.failure = new Error("the store cannot be reached");
  await start(inImage());
  expect(errors).toEqual(["Error: the store cannot be reached"]);
  expect(await start({ ...inImage(), containerId: "co_2" })).toBe(runtime.last);
  expect(errors).toHaveLength(1);
});

test("a runner that does not boot in an image leaves the image free", async () => {
  const spec = inImage();
  runtime.failure = new Error("no");
  await expect(makeHeld(images, spec, (named) => runtime.start(named))).rejects.toThrow("no");
  expect(await makeHeld(images, spec, () => Promise.resolve(undefined))).toBeUndefined();
  expect(images.held).toBe(0);
});

test("one with hosts to reach is of these hosts alone, and learns whose it is", async () => {
  const spec = { containerId: "co_1", resources: RESOURCES, env: {}, allowHosts: ["a.example"] };
  await start(spec);
  const ahead: RunningSandbox = runtime.last;
  const names: string[] = [];
  ahead.becomes = (containerId) => names.push(containerId);
  expect(await start({ ...spec, allowHosts: ["b.example"] })).not.toBe(ahead);
  expect(await start({ ...spec, allowHosts: [] })).not.toBe(ahead);
  expect(names).toEqual([]);
  expect(await start({ ...spec, containerId: "co_7" })).toBe(ahead);
  expect(names).toEqual(["co_7"]);
});
