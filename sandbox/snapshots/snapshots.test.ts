import { mkdtemp, readdir, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { StartContainer } from "../agent/link.ts";
import { CODE, START } from "../agent/test-container.ts";
import { FakeClock, until } from "../fake/clock.ts";
import { FakeRuntime } from "../fake/runtime.ts";
import { withBooted } from "../pools/booted.ts";
import { ReadyPool, type ExpectedKind } from "../pools/ready-pool.ts";
import type { SandboxSpec } from "../runtime/runtime.ts";
import { chunkIdsOf, type SnapshotRecord } from "./manifest.ts";
import type { SharedSnapshots } from "./shared-snapshots.ts";
import { MemorySnapshots, type MemorySnapshotsOptions, type Start } from "./snapshots.ts";
import { IMAGE_BYTES, TestImages } from "./test-images.ts";

const ASKED = { ...START, snapshotId: "a".repeat(64) };
const SPEC: SandboxSpec = {
  containerId: "co_1",
  resources: START.resources,
  env: { PATH: "/bin" },
};
const ENV = { MODE: "test" };
const loading = (start: StartContainer): Start => ({ start, params: Uint8Array.of(9) });

/** Time in which nothing is ever late, until a test lets it be. */
class PatientClock extends FakeClock {
  isLate = false;
  override async sleep(durationMs = 0, signal?: AbortSignal): Promise<void> {
    const isDeadline = durationMs > 1_000;
    while (isDeadline && !this.isLate && signal?.aborted !== true) await super.sleep();
  }
}

let dir: string;
let runtime: FakeRuntime;
let images: TestImages;
let clock: PatientClock;
let kept: string[];
let errors: string[];
let hasRoom: boolean;

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "flotilla-snapshots-"));
  runtime = new FakeRuntime();
  images = new TestImages();
  images.endOf = (containerId) => {
    runtime.started.find(({ spec }) => spec.containerId === containerId)?.end({ exitCode: 0 });
  };
  runtime.images = images.images;
  clock = new PatientClock();
  [kept, errors, hasRoom] = [[], [], true];
});

afterEach(async () => {
  await rm(dir, { recursive: true });
});

async function open(changes: Partial<MemorySnapshotsOptions> = {}): Promise<MemorySnapshots> {
  const snapshots = await MemorySnapshots.open({
    dir,
    runtime,
    clock,
    loadCode: () => Promise.resolve(CODE),
    hasRoom: () => hasRoom,
    onKept: (snapshotId) => kept.push(snapshotId),
    onError: (error, doing) => errors.push(`${doing}: ${String(error)}`),
    ...changes,
  });
  if (snapshots === undefined) throw new Error(errors.join());
  return snapshots;
}

/** Makes the snapshot of `start`; the runner says `loaded`. */
async function make(snapshots: MemorySnapshots, start = ASKED, obstacle?: string): Promise<void> {
  const before = runtime.started.length;
  snapshots.consider(loading(start), SPEC);
  await until(() => runtime.started.length > before, "a sandbox to be kept is started");
  await until(() => runtime.last.told.length > 0, "it is told its code");
  runtime.last.say({ type: "loaded", ...(obstacle === undefined ? {} : { obstacle }) });
  await snapshots.idle();
}

const folder = async (name: string): Promise<readonly string[]> => readdir(join(dir, name));

describe("making", () => {
  test("a sandbox of its own is loaded with the code and nothing of the container's", async () => {
    const snapshots = await open();
    await make(snapshots);
    const [made] = runtime.started;
    expect(made?.spec.containerId).toMatch(/^sn_/);
    expect(made?.told).toHaveLength(1);
    expect(made?.told[0]).toMatchObject({ header: { type: "load", functionName: "double" } });
    expect(JSON.stringify(made?.told)).not.toContain("MODE");
    expect(Buffer.from(made?.told[0]?.body ?? [])).toEqual(Buffer.from([...CODE, 9]));
    expect(kept).toEqual([ASKED.snapshotId]);
    expect(snapshots.snapshotIds).toEqual([ASKED.snapshotId]);
    expect(await folder("making")).toEqual([]);
  });

  test("one is made, however many containers ask for it", async () => {
    const snapshots = await open();
    for (let time = 0; time < 5; time += 1) snapshots.consider(loading(ASKED), SPEC);
    await make(snapshots).catch(() => undefined);
    snapshots.consider(loading(ASKED), SPEC);
    await snapshots.idle();
    expect(runtime.started).toHaveLength(1);
  });

  test("none is made while the node has no room, and one later when it has", async () => {
    const snapshots = await open();
    hasRoom = false;
    snapshots.consider(loading(ASKED), SPEC);
    await snapshots.idle();
    expect(runtime.started).toEqual([]);
    hasRoom = true;
    await make(snapshots);
    expect(kept).toEqual([ASKED.snapshotId]);
  });

  test("code whose memory cannot be kept is tried once, and the reason is known", async () => {
    const snapshots = await open();
    await make(snapshots, ASKED, "1 connection(s) are open");
    snapshots.consider(loading(ASKED), SPEC);
    await snapshots.idle();
    expect(runtime.started).toHaveLength(1);
    expect(snapshots.obstacleOf(ASKED, SPEC)).toBe("1 connection(s) are open");
    expect(images.saved).toEqual([]);
    expect(runtime.last.kills).toBe(1);
  });

  test("an image that cannot be written costs nothing but its sandbox", async () => {
    const snapshots = await open();
    images.failure = new Error("no space left");
    await make(snapshots);
    expect(errors).toEqual([expect.stringContaining("no space left")]);
    expect(runtime.last.kills).toBe(1);
    expect(await snapshots.restore(ASKED, SPEC, ENV)).toBeUndefined();
    expect(images.restores).toEqual([]);
  });

  test("closing ends what is being made", async () => {
    const snapshots = await open();
    snapshots.consider(loading(ASKED), SPEC);
    await until(() => runtime.started.length > 0, "it is started");
    await until(() => runtime.last.told.length > 0, "it is told");
    await snapshots.close();
    expect(runtime.last.kills).toBeGreaterThan(0);
    expect(kept).toEqual([]);
    expect(errors).toEqual([]);
  });
});

describe("restoring", () => {
  test("the restored runner gets its environment and fresh entropy, each time another", async () => {
    const snapshots = await open();
    await make(snapshots);
    const first = await snapshots.restore(ASKED, SPEC, ENV);
    const second = await snapshots.restore(ASKED, { ...SPEC, containerId: "co_2" }, ENV);
    expect(first?.sandbox).toBe(images.restored[0]);
    expect(second?.sandbox).toBe(images.restored[1]);
    const told = images.restored.flatMap((sandbox) => sandbox.told);
    expect(told).toMatchObject([
      { header: { type: "enter", env: ENV, isDeaf: true } },
      { header: { type: "enter", env: ENV, isDeaf: true } },
    ]);
    const entropy = told.map(({ body }) => Buffer.from(body).toString("hex"));
    expect(new Set(entropy).size).toBe(2);
    expect(entropy[0]).toHaveLength(128);
    expect(images.restores[0]?.bytes).toEqual(images.bytes);
    expect(images.restores[0]?.spec.containerId).toBe("co_1");
  });

  test("what an earlier agent kept is restored, put together anew from verified chunks", async () => {
    await make(await open());
    await writeFile(join(dir, "ready", (await folder("ready"))[0] ?? "", "checkpoint.img"), "evil");
    const snapshots = await open();
    expect(snapshots.snapshotIds).toEqual([ASKED.snapshotId]);
    expect(await snapshots.restore(ASKED, SPEC, ENV)).toBeDefined();
    expect(images.restores[0]?.bytes).toEqual(images.bytes);
  });

  test.each([
    ["another runsc or processor", () => (images.fingerprint = "runsc 2"), {}, {}],
    ["other code", () => 0, { codeSha256: "beef" }, {}],
    ["another workspace or size, as the server knows", () => 0, { snapshotId: "b".repeat(64) }, {}],
    ["another function of the app", () => 0, { functionName: "halve" }, {}],
    ["other concurrency", () => 0, { maxInputs: 7 }, {}],
    ["another sandbox", () => 0, {}, { env: { PATH: "/usr/bin" } }],
  ])("nothing is restored for %s", async (_, change, start, spec) => {
    await make(await open());
    change();
    const snapshots = await open();
    expect(await snapshots.restore({ ...ASKED, ...start }, { ...SPEC, ...spec }, ENV)).toBe(
      undefined,
    );
    expect(images.restores).toEqual([]);
  });

  test("an image of a week ago is not restored, and made anew", async () => {
    const snapshots = await open();
    await make(snapshots);
    clock.now += 7 * 24 * 3_600_000 + 1;
    expect(await snapshots.restore(ASKED, SPEC, ENV)).toBeUndefined();
    await make(snapshots);
    expect(await snapshots.restore(ASKED, SPEC, ENV)).toBeDefined();
  });
});

describe("kept ready", () => {
  const OTHER = { ...ASKED, snapshotId: "b".repeat(64) };
  let pool: ReadyPool;

  /** Snapshots whose pool is told to expect one container of `start`. */
  async function openWithPool(start: StartContainer = ASKED): Promise<MemorySnapshots> {
    let snapshots: MemorySnapshots | undefined = undefined;
    const expected = (): readonly ExpectedKind[] => {
      const kind = snapshots?.readyKindOf(start, SPEC);
      return kind === undefined ? [] : [{ kind, count: 1 }];
    };
    pool = new ReadyPool({
      clock: new FakeClock(),
      countMax: 4,
      usual: [],
      expected,
      hasRoom: () => true,
      onError: (error) => errors.push(String(error)),
    });
    snapshots = await open({ pool });
    return snapshots;
  }

  afterEach(async () => {
    await pool.close();
  });

  test("a sandbox is restored ahead, told nothing, and becomes the next container's", async () => {
    const snapshots = await openWithPool();
    await make(snapshots);
    await until(() => pool.kept.length === 1, "one is restored ahead");
    const [ahead] = images.restored;
    expect(ahead?.told).toEqual([]);
    expect(ahead?.spec.containerId).toMatch(/^warm_/);
    const entered = await snapshots.restore(ASKED, SPEC, ENV);
    expect(entered?.sandbox).toBe(ahead);
    expect(ahead?.told).toMatchObject([{ header: { type: "enter", env: ENV } }]);
    await until(() => pool.kept.length === 1, "another is restored");
    const second = await snapshots.restore(ASKED, { ...SPEC, containerId: "co_2" }, ENV);
    expect(second?.sandbox).toBe(images.restored[1]);
    expect(second?.sandbox).not.toBe(ahead);
  });

  test("what has run one workspace's code is given to no other, whatever else is equal", async () => {
    const snapshots = await openWithPool();
    await make(snapshots);
    await make(snapshots, OTHER);
    await until(() => pool.kept.length === 1, "one is restored ahead");
    const [ahead] = images.restored;
    const entered = await snapshots.restore(OTHER, SPEC, ENV);
    expect(entered?.sandbox).toBeDefined();
    expect(entered?.sandbox).not.toBe(ahead);
    expect(ahead?.told).toEqual([]);
    // Nor does a container that starts cold get it.
    const started = await withBooted(runtime, pool).start(SPEC);
    expect(images.restored).not.toContain(started);
  });

  test.each([
    ["a GPU", { resources: { ...SPEC.resources, gpuCount: 1 } }],
    ["hosts that it may reach", { allowHosts: ["example.com"] }],
    ["an image", { image: { rootfs: "/image", node: "/node" } }],
  ])("nothing is kept ready with %s", async (_, changes) => {
    const snapshots = await openWithPool();
    await make(snapshots);
    expect(snapshots.readyKindOf(ASKED, { ...SPEC, ...changes })).toBeUndefined();
  });

  test("one that does not answer makes its container start cold, and all of its image go", async () => {
    const snapshots = await openWithPool();
    await make(snapshots);
    images.outcomes = ["talks nonsense"];
    await until(() => pool.kept.length === 1, "one is restored ahead");
    expect(await snapshots.restore(ASKED, SPEC, ENV)).toBeUndefined();
    expect(errors.join()).toContain("broke the protocol");
    expect(snapshots.readyKindOf(ASKED, SPEC)).toBeUndefined();
    expect(pool.kept).toEqual([]);
  });

  test("an image that cannot be restored ahead is out of use, and no container waits for it", async () => {
    images.outcomes = ["cannot start"];
    const snapshots = await openWithPool();
    await make(snapshots);
    await until(() => errors.length > 0, "it is found bad");
    await until(() => snapshots.snapshotIds.length === 0, "it is out of use");
    expect(errors).toEqual([expect.stringContaining("runsc is missing")]);
    expect(await snapshots.restore(ASKED, SPEC, ENV)).toBeUndefined();
    expect(images.restores).toHaveLength(1);
  });
});

describe("sharing between nodes", () => {
  /** What a server would keep, between two nodes that are folders here. */
  class TestShelf implements SharedSnapshots {
    readonly records = new Map<string, SnapshotRecord>();
    readonly sent = new Map<string, Uint8Array>();
    readonly rejected: string[] = [];
    wanted = true;
    failure: Error | undefined;
    finds = 0;

    find(key: string, snapshotId: string): Promise<SnapshotRecord | undefined> {
      this.finds += 1;
      if (this.failure !== undefined) return Promise.reject(this.failure);
      const found = this.records.get(key);
      return Promise.resolve(found?.snapshotId === snapshotId ? found : undefined);
    }

    async offer(
      record: SnapshotRecord,
      read: (id: string) => Promise<Uint8Array>,
    ): Promise<boolean> {
      if (this.failure !== undefined) throw this.failure;
      if (!this.wanted) return false;
      for (const id of chunkIdsOf(record)) this.sent.set(id, await read(id));
      this.records.set(record.key, record);
      return true;
    }

    reject({ key }: SnapshotRecord): Promise<void> {
      this.rejected.push(key);
      this.records.delete(key);
      return Promise.resolve();
    }

    readonly chunks = { get: (id: string) => Promise.resolve(this.sent.get(id)) };
  }

  let shelf: TestShelf;
  let elsewhere: string;

  beforeEach(async () => {
    shelf = new TestShelf();
    elsewhere = await mkdtemp(join(tmpdir(), "flotilla-snapshots-"));
  });
  afterEach(async () => {
    await rm(elsewhere, { recursive: true });
  });

  /** One node has made a snapshot and shared it; gives another node. */
  async function otherNode(): Promise<MemorySnapshots> {
    await make(await open({ shared: shelf }));
    await until(() => shelf.records.size > 0 || !shelf.wanted, "it is offered");
    return open({ dir: elsewhere, shared: shelf });
  }

  test("a node restores what another has made, and has it from then on", async () => {
    const other = await otherNode();
    expect(await other.restore(ASKED, SPEC, ENV)).toBeDefined();
    expect(images.restores.at(-1)?.bytes).toEqual(images.bytes);
    expect(other.snapshotIds).toEqual([ASKED.snapshotId]);
    expect(kept).toEqual([ASKED.snapshotId, ASKED.snapshotId]);
    shelf.failure = new Error("the server is away");
    expect(await other.restore(ASKED, { ...SPEC, containerId: "co_2" }, ENV)).toBeDefined();
    shelf.failure = undefined;
    const later = await open({ dir: elsewhere, shared: shelf });
    expect(await later.restore(ASKED, { ...SPEC, containerId: "co_3" }, ENV)).toBeDefined();
    expect(errors).toEqual([]);
  });

  test("nothing of it is restored on a machine that is not the same", async () => {
    await otherNode();
    images.fingerprint = "runsc 2";
    const other = await open({ dir: elsewhere, shared: shelf });
    expect(await other.restore(ASKED, SPEC, ENV)).toBeUndefined();
    expect(images.restores).toEqual([]);
  });

  test("a chunk that comes damaged makes the container start cold, and others are warned", async () => {
    const other = await otherNode();
    for (const id of shelf.sent.keys()) shelf.sent.set(id, Buffer.alloc(40, 1));
    expect(await other.restore(ASKED, SPEC, ENV)).toBeUndefined();
    expect(images.restores).toEqual([]);
    expect(shelf.rejected).toHaveLength(1);
    expect(errors.join()).toContain("the container starts cold");
  });

  test("a server that is away costs a cold start and nothing else", async () => {
    const other = await otherNode();
    shelf.failure = new Error("the server is away");
    expect(await other.restore(ASKED, SPEC, ENV)).toBeUndefined();
    expect(errors).toEqual([expect.stringContaining("the server is away")]);
    expect(shelf.rejected).toEqual([]);
  });

  test("what was bad here three times is not fetched again", async () => {
    images.outcomes = ["ends"];
    const other = await otherNode();
    const [record] = shelf.records.values();
    if (record === undefined) throw new Error("it is shared");
    for (let time = 0; time < 5; time += 1) {
      shelf.records.set(record.key, record);
      expect(await other.restore(ASKED, SPEC, ENV)).toBeUndefined();
    }
    expect(images.restores).toHaveLength(3);
    expect(shelf.finds).toBe(3);
  });

  test("what nobody else could use is offered again later, with a start from it", async () => {
    shelf.wanted = false;
    const snapshots = await open({ shared: shelf });
    await make(snapshots);
    shelf.wanted = true;
    await snapshots.restore(ASKED, SPEC, ENV);
    expect(shelf.records.size).toBe(0);
    clock.now += 10 * 60_000;
    await snapshots.restore(ASKED, { ...SPEC, containerId: "co_2" }, ENV);
    await until(() => shelf.records.size === 1, "it is shared");
  });
});

describe("a bad snapshot", () => {
  const failing = [
    ["ends", "it ended with code 128"],
    ["says nothing", "did not answer within"],
    ["talks nonsense", "broke the protocol"],
    ["cannot start", "runsc is missing"],
  ] as const;

  test.each(failing)("that %s is never restored again, and another is made", async (how, why) => {
    const snapshots = await open();
    await make(snapshots);
    images.outcomes = [how, "answers"];
    clock.isLate = how === "says nothing";
    expect(await snapshots.restore(ASKED, SPEC, ENV)).toBeUndefined();
    clock.isLate = false;
    expect(errors.join()).toContain(why);
    expect(snapshots.snapshotIds).toEqual([]);
    expect(await snapshots.restore(ASKED, SPEC, ENV)).toBeUndefined();
    expect(images.restores).toHaveLength(1);
    for (const sandbox of images.restored) expect(await sandbox.exited).toBeDefined();
    await make(snapshots);
    expect(await snapshots.restore(ASKED, SPEC, ENV)).toBeDefined();
  });

  test("that was bad three times is not made again, by this agent or the next", async () => {
    const snapshots = await open();
    images.outcomes = ["ends"];
    for (let time = 0; time < 3; time += 1) {
      await make(snapshots);
      expect(await snapshots.restore(ASKED, SPEC, ENV)).toBeUndefined();
    }
    for (const agent of [snapshots, await open()]) {
      agent.consider(loading(ASKED), SPEC);
      await agent.idle();
    }
    expect(runtime.started).toHaveLength(3);
    expect(await folder("bad")).toHaveLength(1);
  });

  test("found bad by several at once counts once", async () => {
    const snapshots = await open();
    await make(snapshots);
    images.outcomes = ["ends"];
    await Promise.all([1, 2, 3, 4].map(() => snapshots.restore(ASKED, SPEC, ENV)));
    await make(snapshots);
    expect(kept).toHaveLength(2);
  });

  test.each([
    ["truncated", async (path: string) => truncate(path, 7)],
    ["changed", async (path: string) => writeFile(path, Buffer.alloc(99, 1))],
    ["lost", async (path: string) => rm(path)],
  ])("with a chunk that is %s is not given to the runtime", async (_, damage) => {
    images.bytes = Buffer.from(Array.from({ length: IMAGE_BYTES }, (__, at) => (at * 7) % 251));
    await make(await open());
    const [prefix = ""] = await folder("chunks");
    const [chunk = ""] = await folder(join("chunks", prefix));
    await damage(join(dir, "chunks", prefix, chunk));
    const snapshots = await open();
    expect(await snapshots.restore(ASKED, SPEC, ENV)).toBeUndefined();
    expect(images.restores).toEqual([]);
    expect(snapshots.snapshotIds).toEqual([]);
    expect(await folder("ready")).toEqual([]);
  });

  test("with a changed note of what it is made of is not known at all", async () => {
    await make(await open());
    const [name = ""] = await folder("manifests");
    const path = join(dir, "manifests", name);
    const note = await readFile(path, "utf8");
    for (const wrong of [note.replace("checkpoint.img", "../../evil.img"), note.slice(0, 90), ""]) {
      await writeFile(path, wrong);
      const snapshots = await open();
      expect(snapshots.snapshotIds).toEqual([]);
      expect(await snapshots.restore(ASKED, SPEC, ENV)).toBeUndefined();
    }
  });
});

describe("versions", () => {
  test("of one function share what of their memory is the same", async () => {
    const snapshots = await open();
    const size = 64 * 65_536;
    images.bytes = Buffer.from(Uint32Array.from({ length: size / 4 }, (_, at) => at).buffer);
    await make(snapshots);
    const chunkCount = async (): Promise<number> => {
      const folders = await Promise.all(
        (await folder("chunks")).map((prefix) => folder(join("chunks", prefix))),
      );
      return folders.flat().length;
    };
    const before = await chunkCount();
    const next = Buffer.from(images.bytes);
    next.fill(7, 3 * 65_536, 4 * 65_536);
    images.bytes = next;
    await make(snapshots, { ...ASKED, snapshotId: "b".repeat(64), codeSha256: "beef" });
    expect((await chunkCount()) - before).toBe(1);
    images.outcomes = ["ends", "answers"];
    await snapshots.restore(ASKED, SPEC, ENV);
    const other = { ...ASKED, snapshotId: "b".repeat(64), codeSha256: "beef" };
    // The first was bad and its chunks are gone, but not those that the other needs too.
    expect(await (await open()).restore(other, SPEC, ENV)).toBeDefined();
    expect(Buffer.compare(images.restores.at(-1)?.bytes ?? Buffer.of(), images.bytes)).toBe(0);
  });
});

test("a runtime without images of memory has no snapshots", async () => {
  runtime.images = { kind: "unsupported", reason: "plain processes" };
  await expect(open()).rejects.toThrow();
  expect(errors).toEqual([]);
});

test("a runtime that cannot be asked starts everything cold, and says so", async () => {
  const broken = images.images;
  if (broken.kind !== "supported") throw new Error("they are supported");
  runtime.images = { ...broken, probe: () => Promise.reject(new Error("no runsc")) };
  await expect(open()).rejects.toThrow("containers start cold");
});
