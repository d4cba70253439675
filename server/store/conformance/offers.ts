/** What was seen of offers. */
import { expect, it } from "vitest";
import type { OfferRecord } from "../../fleet/observed/offer-record.ts";
import type { OpenBench } from "./samples.ts";

function aRecord(key: string, changes: Partial<OfferRecord> = {}): OfferRecord {
  const launches = { askedCount: 2.5, refusedCount: 1, failedCount: 0.25 };
  const boots = [[66, 1.5]] as const;
  return { key, atMs: 1_000, ...launches, boots, nodeHours: 0.1, reclaimCount: 0, ...changes };
}

/** Declares the suite of `RecordStore.offers`. */
export function testOffers({ store, reopen }: OpenBench): void {
  it("has nothing at first", async () => {
    expect(await store().offers.list()).toEqual([]);
  });

  it("gives records back as they were put, by key, also after it was opened again", async () => {
    const records = ["b", "a", "emulated/c"].map((key) => aRecord(key));
    await store().offers.put(records);
    const sorted = records.toSorted((one, other) => (one.key < other.key ? -1 : 1));
    expect(await store().offers.list()).toEqual(sorted);
    expect(await (await reopen()).offers.list()).toEqual(sorted);
  });

  it("replaces the record of a key, and leaves the others", async () => {
    const { offers } = store();
    await offers.put([aRecord("a"), aRecord("b")]);
    const changed = aRecord("a", { boots: [], reclaimCount: 7 });
    await offers.put([changed]);
    await offers.put([]);
    expect(await offers.list()).toEqual([changed, aRecord("b")]);
  });
}
