/**
 * What every record store must do, as one suite that all adapters run.
 *
 * A bench is one empty database. It can be opened, closed and opened again: what a store has
 * acknowledged is there for the next one.
 */
import { afterEach, beforeEach, describe } from "vitest";
import { testArrivals } from "./conformance/arrivals.ts";
import { testBlobRecords } from "./conformance/blobs.ts";
import { testChunkRecords } from "./conformance/chunks.ts";
import { testImages } from "./conformance/images.ts";
import { testLedger } from "./conformance/ledger.ts";
import { testLedgerAgainstModel } from "./conformance/model.ts";
import { testNodes, testPlans } from "./conformance/nodes.ts";
import { testOffers } from "./conformance/offers.ts";
import { testFences, testPoolEvents, testPoolMemory } from "./conformance/pool.ts";
import { testRegistry } from "./conformance/registry.ts";
import { testResults } from "./conformance/results.ts";
import type { OpenBench } from "./conformance/samples.ts";
import { testSecrets } from "./conformance/secrets.ts";
import { testSchedules } from "./conformance/schedules.ts";
import { testVolumes } from "./conformance/volumes.ts";
import { testTokens } from "./conformance/tokens.ts";
import { testExtraUse, testQuotas, testUsage } from "./conformance/usage.ts";
import { testBlobOwners, testWorkspaces } from "./conformance/workspaces.ts";
import type { RecordStore } from "./record-store.ts";

/** One database, empty at first. */
export interface RecordStoreBench {
  /** A store over the database. The one before it is closed. */
  open(): Promise<RecordStore>;
  /** Removes the database; its store is closed. */
  remove(): Promise<void>;
}

/** Declares the suite for one adapter. */
export function testRecordStore(name: string, makeBench: () => Promise<RecordStoreBench>): void {
  describe(`record store ${name}`, () => {
    let bench: RecordStoreBench;
    let store: RecordStore;
    beforeEach(async () => {
      bench = await makeBench();
      store = await bench.open();
    });
    afterEach(async () => {
      await store.close();
      await bench.remove();
    });
    const open: OpenBench = {
      store: () => store,
      reopen: async () => {
        await store.close();
        store = await bench.open();
        return store;
      },
    };
    describe("registry", () => testRegistry(open));
    describe("tokens", () => testTokens(open));
    describe("usage", () => testUsage(open));
    describe("usage beyond what is reserved", () => testExtraUse(open));
    describe("quotas", () => testQuotas(open));
    describe("workspaces", () => testWorkspaces(open));
    describe("owners of blobs", () => testBlobOwners(open));
    describe("blobs", () => testBlobRecords(open));
    describe("ledger", () => testLedger(open));
    describe("results", () => testResults(open));
    describe("ledger and model", () => testLedgerAgainstModel(open));
    describe("arrivals", () => testArrivals(open));
    describe("nodes", () => testNodes(open));
    describe("plans", () => testPlans(open));
    describe("pool events", () => testPoolEvents(open));
    describe("pool memory", () => testPoolMemory(open));
    describe("fences", () => testFences(open));
    describe("offers", () => testOffers(open));
    describe("schedules", () => testSchedules(open));
    describe("images", () => testImages(open));
    describe("records of chunks", () => testChunkRecords(open));
    describe("secrets", () => testSecrets(open));
    describe("volumes", () => testVolumes(open));
  });
}
