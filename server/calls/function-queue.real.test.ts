import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Queue } from "bullmq";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { connectRedis } from "../redis/endpoint.ts";
import { startRedisChild, type RedisChild } from "../redis/redis-child.ts";
import { FunctionQueue, LOCK_MS } from "./function-queue.ts";

const RANGE = { callId: "ca_0", from: 0, to: 1 };

describe("the queue of a function", () => {
  let dataDir: string;
  let child: RedisChild;
  const closers: (() => Promise<void>)[] = [];
  let functions = 0;

  beforeAll(async () => {
    dataDir = await mkdtemp(join(tmpdir(), "flotilla-queue-"));
    child = await startRedisChild({ dataDir });
  });

  afterEach(async () => {
    for (const close of closers.splice(0).reverse()) await close();
  });

  afterAll(async () => {
    await child.stop();
    await rm(dataDir, { recursive: true, force: true });
  });

  /** Two servers over one queue, and the queue as BullMQ shows it. */
  function open(): { readonly ours: FunctionQueue; readonly theirs: FunctionQueue; raw: Queue } {
    functions += 1;
    const functionId = `fn_${functions}`;
    const connection = connectRedis(child.endpoint, "test", () => undefined);
    closers.push(async () => {
      connection.disconnect();
      return Promise.resolve();
    });
    const options = {
      functionId,
      connection,
      prefix: "test",
      nowMs: () => Date.now(),
      onError: () => undefined,
    };
    const [ours, theirs] = [new FunctionQueue(options), new FunctionQueue(options)];
    const raw = new Queue(functionId, { connection, prefix: "test" });
    closers.push(
      () => ours.close(),
      () => theirs.close(),
      () => raw.close(),
    );
    return { ours, theirs, raw };
  }

  it("gives each range to one taker, and forgets what is finished", async () => {
    const { ours, theirs } = open();
    const beforeMs = Date.now();
    await ours.add([RANGE, { ...RANGE, from: 1, to: 2 }]);
    const [first, second] = [await ours.take(), await theirs.take()];
    expect([first?.from, second?.from]).toEqual([0, 1]);
    expect(first?.addedAtMs).toBeGreaterThanOrEqual(beforeMs);
    expect(first?.addedAtMs).toBeLessThanOrEqual(Date.now());
    expect(await theirs.take()).toBeUndefined();
    if (first !== undefined) await ours.finish(first);
    if (second !== undefined) await theirs.putBack(second);
    expect(await ours.depth()).toBe(1);
    expect((await ours.take())?.from).toBe(1);
  });

  it("hides a range that was leased without being taken, until it is given back", async () => {
    const { ours, theirs } = open();
    const { range, stored } = ours.lease(RANGE);
    await stored;
    expect(await theirs.take()).toBeUndefined();
    expect(await theirs.depth()).toBe(1);
    await ours.renew([range]);
    expect(await theirs.take()).toBeUndefined();
    await ours.putBack(range);
    expect(await theirs.take()).toMatchObject(RANGE);
  });

  it("removes a leased range that is finished before Redis has answered", async () => {
    const { ours, theirs } = open();
    const { range, stored } = ours.lease(RANGE);
    await Promise.all([stored, ours.finish(range)]);
    expect(await theirs.depth()).toBe(0);
  });

  it("gives a leased range to another when its holder is silent for too long", async () => {
    const { ours, theirs, raw } = open();
    const { range, stored } = ours.lease(RANGE);
    await stored;
    const job = await raw.getJob(range.leaseId);
    expect(job?.delay).toBe(LOCK_MS);
    // As if the time were over.
    await job?.changeDelay(0);
    const taken = await theirs.take();
    expect(taken).toMatchObject(RANGE);
    // Its holder ends all the same; the one who has it now finds its input finished.
    await ours.finish(range).catch(() => undefined);
    if (taken !== undefined) await theirs.finish(taken);
    expect(await ours.depth()).toBe(0);
  });

  it("renews the other leases when one of them has gone to another", async () => {
    const { ours, theirs, raw } = open();
    const [lost, kept] = [ours.lease(RANGE), ours.lease({ ...RANGE, from: 1, to: 2 })];
    await Promise.all([lost.stored, kept.stored]);
    await (await raw.getJob(lost.range.leaseId))?.changeDelay(0);
    await (await raw.getJob(kept.range.leaseId))?.changeDelay(1_000);
    expect(await theirs.take()).toMatchObject(RANGE);
    await ours.renew([lost.range, kept.range]);
    expect((await raw.getJob(kept.range.leaseId))?.delay).toBe(LOCK_MS);
  });
});
