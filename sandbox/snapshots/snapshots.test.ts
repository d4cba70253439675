import { readdir, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeEach, describe, expect, test } from "vitest";
import { CODE } from "../agent/test-container.ts";
import { until } from "../fake/clock.ts";
import { ASKED, ENV, loading, SPEC, useSnapshotBench, type SnapshotBench } from "./test-bench.ts";
import { IMAGE_BYTES } from "./test-images.ts";

const bench = useSnapshotBench();
let dir: string;
let runtime: SnapshotBench["runtime"];
let images: SnapshotBench["images"];
let clock: SnapshotBench["clock"];
let kept: string[];
let errors: string[];

beforeEach(() => {
  ({ dir, runtime, images, clock, kept, errors } = bench);
});

const open: SnapshotBench["open"] = async (changes) => bench.open(changes);
const make: SnapshotBench["make"] = async (...asked) => bench.make(...asked);

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
    bench.hasRoom = false;
    snapshots.consider(loading(ASKED), SPEC);
    await snapshots.idle();
    expect(runtime.started).toEqual([]);
    bench.hasRoom = true;
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

  test("an image that could not be made quick to restore is kept, and the reason is told", async () => {
    const snapshots = await open();
    images.slowBecause = "its compression is unknown";
    await make(snapshots);
    expect(errors).toEqual([
      "making the snapshot of double quick to restore: Error: its compression is unknown",
    ]);
    expect(await snapshots.restore(ASKED, SPEC, ENV)).toBeDefined();
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

  const damages: readonly (readonly [string, (path: string) => Promise<void>])[] = [
    ["changed in one byte", async (path) => writeFile(path, Buffer.alloc(IMAGE_BYTES, "nemory"))],
    ["written anew as it was", async (path) => writeFile(path, await readFile(path))],
    ["cut off", async (path) => truncate(path, IMAGE_BYTES - 1)],
    ["removed", async (path) => rm(path)],
  ];

  test.each(damages)("with a file that is %s after it was put together", async (_, damage) => {
    const made = await open();
    await make(made);
    const path = async (): Promise<string> =>
      join(dir, "ready", (await folder("ready"))[0] ?? "", "checkpoint.img");
    await damage(await path());
    expect(await made.restore(ASKED, SPEC, ENV)).toBeUndefined();
    expect(images.restores).toEqual([]);
    expect(errors.join()).toContain("was written to after it was put together");
    // Another one is made, and put together by another agent, whose files count as well.
    await make(made);
    const next = await open();
    expect(await next.restore(ASKED, SPEC, ENV)).toBeDefined();
    await damage(await path());
    expect(await next.restore(ASKED, SPEC, ENV)).toBeUndefined();
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
