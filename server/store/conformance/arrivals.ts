/** When functions were called. */
import { expect, it } from "vitest";
import type { StoredArrivals } from "../record-store.ts";
import type { OpenBench } from "./samples.ts";

const KEY = { workspaceId: "ws_1", app: "search", name: "embed" };

const FULL: StoredArrivals = {
  ...KEY,
  atMs: 1_800_000_000_123,
  history: {
    perSecond: Array.from({ length: 60 }, (_, second) => 1 + (second % 7)),
    awakenings: Array.from({ length: 24 }, (_, position) => ({
      atMs: 1_700_000_000_000 + 300_000 * position,
      inputs: 1 + position,
    })),
    lastAtMs: 1_800_000_000_100,
  },
  startupMs: 812.5,
};

/** Declares the suite of `RecordStore.arrivals`. */
export function testArrivals({ store, reopen }: OpenBench): void {
  it("gives back what was put, also after it was opened again, by function and by nothing less", async () => {
    await store().arrivals.put(FULL);
    for (const open of [store, reopen]) {
      const { arrivals } = await open();
      expect(await arrivals.get(KEY)).toEqual(FULL);
      for (const other of [{ workspaceId: "ws_2" }, { app: "other" }, { name: "index" }]) {
        expect(await arrivals.get({ ...KEY, ...other })).toBeUndefined();
      }
    }
  });

  it("replaces what was put before, and leaves out zeros in front and what is not known", async () => {
    const { arrivals } = store();
    await arrivals.put(FULL);
    const perSecond = [...Array.from({ length: 58 }, () => 0), 2, 0];
    await arrivals.put({ ...KEY, atMs: 5_000, history: { perSecond, awakenings: [] } });
    expect(await arrivals.get(KEY)).toEqual({
      ...KEY,
      atMs: 5_000,
      history: { perSecond: [2, 0], awakenings: [] },
    });
  });

  it("forgets those that were called longest ago beyond ten thousand", async () => {
    const { arrivals } = store();
    const history = { perSecond: [], awakenings: [] };
    const put = async (name: string, atMs: number): Promise<void> =>
      arrivals.put({ ...KEY, name, atMs, history });
    await put("newest", 99_000);
    const names = Array.from({ length: 10_001 }, (_, position) => `f${position}`);
    await Promise.all(names.map((name, position) => put(name, position)));
    expect(await arrivals.get({ ...KEY, name: "newest" })).toBeDefined();
    expect(await arrivals.get({ ...KEY, name: "f0" })).toBeUndefined();
    expect(await arrivals.get({ ...KEY, name: "f1" })).toBeUndefined();
    expect(await arrivals.get({ ...KEY, name: "f2" })).toBeDefined();
  });
}
