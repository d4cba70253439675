/** What the records of a store of chunks must do; each adapter's test calls it. */
import { describe, expect, test } from "vitest";
import { LeaseEndedError, type ChunkRecords } from "./chunk-records.ts";

const NOW_MS = 1_000_000;
const LATER_MS = NOW_MS + 60_000;
const [A, B, C] = ["a".repeat(64), "b".repeat(64), "c".repeat(64)];

/** Declares the suite; `open` gives new, empty ones. */
export function describeChunkRecords(name: string, open: () => Promise<ChunkRecords>): void {
  describe(`${name} as records of chunks`, () => {
    testCondemned(open);
    testLeases(open);
    testRemovals(open);
  });
}

const when = { nowMs: NOW_MS, untilMs: LATER_MS };

function testCondemned(open: () => Promise<ChunkRecords>): void {
  test("what is condemned is taken once, and not before it was condemned", async () => {
    const { condemned } = await open();
    expect(await condemned.take([A], { beforeTurn: 1_000, untilMs: LATER_MS })).toEqual([]);
    await condemned.condemn([A, B, A], NOW_MS);
    const beforeTurn = await condemned.oldestTurn(NOW_MS);
    await condemned.condemn([C], NOW_MS);
    const taken = await condemned.take([A, B, C, A], { beforeTurn, untilMs: LATER_MS });
    expect([...taken].sort()).toEqual([A, B]);
    expect(await condemned.take([A, B, C], { beforeTurn, untilMs: LATER_MS })).toEqual([]);
  });

  test("being condemned again makes nothing younger", async () => {
    const { condemned } = await open();
    await condemned.condemn([A], NOW_MS);
    const beforeTurn = await condemned.oldestTurn(NOW_MS);
    await condemned.condemn([A], NOW_MS);
    expect(await condemned.take([A], { beforeTurn, untilMs: LATER_MS })).toEqual([A]);
  });

  test("a claim takes a chunk out, and what is condemned after it is younger than the lease", async () => {
    const { leases, condemned } = await open();
    await condemned.condemn([A, B], NOW_MS);
    const beforeLease = await condemned.oldestTurn(NOW_MS);
    await leases.begin("one", LATER_MS);
    expect(await leases.claim("one", [A, C], when)).toEqual([]);
    expect(await condemned.take([A, B], { beforeTurn: beforeLease, untilMs: LATER_MS })).toEqual([
      B,
    ]);
    await condemned.condemn([A, C], NOW_MS);
    const beforeTurn = await condemned.oldestTurn(NOW_MS);
    expect(await condemned.take([A, C], { beforeTurn, untilMs: LATER_MS })).toEqual([]);
  });
}

function testLeases(open: () => Promise<ChunkRecords>): void {
  test("the oldest lease counts, and each that has ended no more", async () => {
    const { leases, condemned } = await open();
    await leases.begin("one", LATER_MS);
    await condemned.condemn([A], NOW_MS);
    await leases.begin("two", LATER_MS);
    const take = async (nowMs: number): Promise<readonly string[]> =>
      condemned.take([A], {
        beforeTurn: await condemned.oldestTurn(nowMs),
        untilMs: LATER_MS,
      });
    expect(await take(NOW_MS)).toEqual([]);
    await leases.end("one");
    expect(await take(NOW_MS)).toEqual([A]);
  });

  test("a lease is held until somebody who collects finds it past its time", async () => {
    const { leases, condemned } = await open();
    await leases.begin("one", NOW_MS);
    expect(await leases.claim("one", [], { nowMs: LATER_MS, untilMs: NOW_MS })).toEqual([]);
    expect(await leases.renew("one", NOW_MS)).toBe(true);
    await condemned.oldestTurn(NOW_MS - 1);
    expect(await leases.renew("one", NOW_MS)).toBe(true);
    await condemned.oldestTurn(NOW_MS);
    expect(await leases.renew("one", LATER_MS)).toBe(false);
    await expect(leases.claim("one", [A], when)).rejects.toThrow(LeaseEndedError);
    await leases.end("one");
  });

  test("a lease that is renewed or used lasts longer, and never shorter", async () => {
    const { leases, condemned } = await open();
    const farMs = LATER_MS + 10 * 60_000;
    await leases.begin("renewed", NOW_MS);
    await leases.begin("used", NOW_MS);
    await leases.renew("renewed", farMs);
    await leases.claim("used", [], { nowMs: NOW_MS, untilMs: farMs });
    await leases.renew("renewed", NOW_MS);
    await condemned.oldestTurn(farMs - 1);
    expect(await leases.renew("renewed", farMs)).toBe(true);
    expect(await leases.renew("used", farMs)).toBe(true);
    await condemned.oldestTurn(farMs);
    expect(await leases.renew("used", farMs)).toBe(false);
  });
}

function testRemovals(open: () => Promise<ChunkRecords>): void {
  test("a claim of what is being removed waits for the end of that, however it comes", async () => {
    const { leases, condemned } = await open();
    await condemned.condemn([A, B, C], NOW_MS);
    const beforeTurn = await condemned.oldestTurn(NOW_MS);
    const taken = await condemned.take([A, B], { beforeTurn, untilMs: LATER_MS });
    await leases.begin("one", LATER_MS);
    const claim = async (nowMs: number): Promise<readonly string[]> =>
      [...(await leases.claim("one", [A, B, C], { nowMs, untilMs: LATER_MS }))].sort();
    expect(await claim(NOW_MS)).toEqual([A, B]);
    await condemned.forget([A], LATER_MS);
    // That of another removal ends nothing.
    await condemned.forget(taken, LATER_MS - 1);
    expect(await claim(LATER_MS - 1)).toEqual([B]);
    expect(await claim(LATER_MS)).toEqual([]);
  });

  test("what a dead removal has left is condemned anew, and not before its time is over", async () => {
    const { condemned } = await open();
    await condemned.condemn([A], NOW_MS);
    const first = await condemned.oldestTurn(NOW_MS);
    await condemned.take([A], { beforeTurn: first, untilMs: LATER_MS });
    await condemned.condemn([A], LATER_MS - 1);
    const again = async (nowMs: number): Promise<readonly string[]> =>
      condemned.take([A], {
        beforeTurn: await condemned.oldestTurn(nowMs),
        untilMs: LATER_MS + 1,
      });
    expect(await again(LATER_MS - 1)).toEqual([]);
    await condemned.condemn([A], LATER_MS);
    expect(await condemned.take([A], { beforeTurn: first, untilMs: LATER_MS })).toEqual([]);
    expect(await again(LATER_MS)).toEqual([A]);
  });
}
