import { mkdtempSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createRng, MS_PER_HOUR, MS_PER_MINUTE } from "../../core/index.ts";
import { createManualClock } from "../../providers/fake/index.ts";
import type { PriceSheet } from "../../providers/index.ts";
import { Downloads } from "../../providers/prices/index.ts";
import { systemClock } from "../system-clock.ts";
import { priceFilePath, readPriceSheets, writePriceSheets } from "./price-file.ts";
import { PriceShelf, staleSheets } from "./price-shelf.ts";
import { refreshPrices, type RefreshOptions, type RefreshOutcome } from "./refresh.ts";
import { startTestLists, type TestLists } from "./test-lists.ts";

const NOW_MS = Date.UTC(2026, 10, 26);

let dir = "";
let path = "";
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "flotilla-prices-"));
  path = priceFilePath(dir);
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

function sheetOf(region: string, usd: number, readAtMs = NOW_MS): PriceSheet {
  return {
    cloud: "aws",
    region,
    source: "a list",
    readAtMs,
    prices: [
      { instanceType: "g6.xlarge", purchase: "on-demand", microUsdPerHour: usd * 1e6 },
      {
        instanceType: "g6.xlarge",
        purchase: "spot",
        microUsdPerHour: usd * 4e5,
        interruptions: "5-10%",
        readAtMs: readAtMs - 1,
      },
    ],
  };
}

describe("the price file", () => {
  it("gives back what was written, by cloud and region, and nothing without a file", () => {
    expect(readPriceSheets(path)).toEqual([]);
    writePriceSheets(path, [sheetOf("us-east-1", 1), sheetOf("eu-west-1", 2)]);
    expect(readPriceSheets(path)).toEqual([sheetOf("eu-west-1", 2), sheetOf("us-east-1", 1)]);
  });

  it.each([
    ["cut off", '{"format":1,"sheets":['],
    ["of another format", '{"format":2,"sheets":[]}'],
    ["with a price of 0", JSON.stringify({ format: 1, sheets: [sheetOf("a", 0)] })],
    ["with half a micro-dollar", JSON.stringify({ format: 1, sheets: [sheetOf("a", 1.0000005)] })],
    ["no file of ours", "[]"],
  ])("is refused when it is %s, with what to do", (_, text) => {
    writeFileSync(path, text);
    expect(() => readPriceSheets(path)).toThrow(/cannot use the prices in .*catalog refresh/);
  });

  it("says why it cannot be written", () => {
    writeFileSync(join(dir, "file"), "");
    const inside = join(dir, "file", "prices.json");
    expect(() => writePriceSheets(inside, [])).toThrow(/cannot write the prices to .*file/);
  });
});

describe("PriceShelf", () => {
  function shelf() {
    const clock = createManualClock(NOW_MS);
    const errors: string[] = [];
    const onError = (error: unknown): void => void errors.push(String(error));
    return { clock, errors, shelf: new PriceShelf({ path, clock, onError }) };
  }

  /** Writes the file with a time of its own, as two writes of a test can be within one tick. */
  function put(sheets: readonly PriceSheet[] | string, second: number): void {
    if (typeof sheets === "string") writeFileSync(path, sheets);
    else writePriceSheets(path, sheets);
    utimesSync(path, second, second);
  }

  it("has nothing without a file, and takes up one that is written later", async () => {
    const { clock, shelf: own } = shelf();
    expect(own.sheets()).toEqual([]);
    put([sheetOf("eu-west-1", 1)], 1);
    expect(own.sheets()).toEqual([]);
    await clock.advance(MS_PER_MINUTE);
    expect(own.sheets()).toHaveLength(1);
    put([sheetOf("eu-west-1", 1), sheetOf("us-east-1", 1)], 2);
    await clock.advance(MS_PER_MINUTE);
    expect(own.sheets()).toHaveLength(2);
  });

  it("S32: keeps the last prices when the file is damaged, and says so once", async () => {
    const { clock, errors, shelf: own } = shelf();
    put([sheetOf("eu-west-1", 1)], 1);
    expect(own.sheets()).toHaveLength(1);
    put("{", 2);
    for (let minute = 0; minute < 3; minute += 1) {
      await clock.advance(MS_PER_MINUTE);
      expect(own.sheets()).toHaveLength(1);
    }
    expect(errors).toHaveLength(1);
  });

  it("S32: keeps prices that are older than a day, and says so once a day", async () => {
    const { clock, errors, shelf: own } = shelf();
    put([sheetOf("eu-west-1", 1), sheetOf("us-east-1", 1, NOW_MS + 24 * MS_PER_HOUR)], 1);
    expect(own.sheets()).toHaveLength(2);
    expect(errors).toEqual([]);
    for (let hour = 0; hour < 30; hour += 1) {
      await clock.advance(MS_PER_HOUR);
      expect(own.sheets()).toHaveLength(2);
    }
    expect(errors).toHaveLength(1);
    expect(errors[0]).toContain("prices of aws eu-west-1 are older than a day");
    expect(staleSheets(own.sheets(), clock.nowMs())).toHaveLength(1);
  });
});

describe("refreshPrices", () => {
  let lists: TestLists;
  beforeEach(async () => (lists = await startTestLists()));
  afterEach(async () => lists.close());

  function refresh(changes: Partial<RefreshOptions> = {}): Promise<RefreshOutcome> {
    return refreshPrices({
      clouds: ["aws"],
      regions: { aws: ["eu-west-1", "eu-west-2"] },
      sources: { awsUrl: lists.url, awsSpotUrl: `${lists.url}/advisor.json` },
      known: [],
      acceptsJumps: false,
      context: {
        downloads: new Downloads({ clock: systemClock, rng: createRng(1), attemptCountMax: 1 }),
        nowMs: () => NOW_MS,
        onProgress: () => undefined,
      },
      ...changes,
    });
  }

  it("gives the regions of a cloud with what has changed", async () => {
    const { sheets, regions, kept } = await refresh();
    expect(kept).toEqual([]);
    expect(sheets.map(({ region }) => region)).toEqual(["eu-west-1", "eu-west-2"]);
    const change = { instanceType: "m7i.4xlarge", purchase: "on-demand" as const };
    expect(regions[0]?.changes).toContainEqual({ ...change, afterMicroUsdPerHour: 850_000 });
  });

  it("keeps what it cannot read, and what is not asked for, as it was", async () => {
    lists.down.add("eu-west-2");
    const known = [sheetOf("eu-west-2", 1), sheetOf("us-east-1", 2)];
    const { sheets, kept } = await refresh({ known });
    expect(kept).toMatchObject([{ what: "aws eu-west-2" }]);
    expect(kept[0]?.reason).toContain("answered 404 (no such list)");
    expect(sheets.map(({ region }) => region).sort()).toEqual([
      "eu-west-1",
      "eu-west-2",
      "us-east-1",
    ]);
    for (const sheet of known) expect(sheets).toContain(sheet);
  });

  it("keeps the other clouds when one fails altogether", async () => {
    const { regions, kept } = await refresh({ clouds: ["aws", "gcp"] });
    expect(regions).toHaveLength(2);
    expect(kept).toMatchObject([{ what: "gcp" }]);
    expect(kept[0]?.reason).toContain("without an API key");
  });

  it("holds back a jump against the built-in price, until somebody accepts it", async () => {
    lists.usd = "90";
    const named = { instanceType: "g6.xlarge", purchase: "on-demand" };
    const first = await refresh();
    expect(first.regions[1]?.held).toContainEqual(expect.objectContaining(named));
    expect(first.regions[1]?.sheet.prices).not.toContainEqual(expect.objectContaining(named));
    const second = await refresh({ acceptsJumps: true });
    expect(second.regions[1]?.held).toEqual([]);
    expect(second.regions[1]?.sheet.prices).toContainEqual(
      expect.objectContaining({ ...named, microUsdPerHour: 90_000_000 }),
    );
  });

  it("refuses a list that has lost most of what it had", async () => {
    const many = Array.from({ length: 9 }, (_, index) => ({
      instanceType: `t${index}`,
      purchase: "on-demand" as const,
      microUsdPerHour: 1,
    }));
    const known = [{ ...sheetOf("eu-west-1", 1), prices: many }];
    const { sheets, kept } = await refresh({ known });
    expect(kept).toEqual([
      { what: "aws eu-west-1", reason: "it lacks 9 of the 9 prices known of it" },
    ]);
    expect(sheets).toContain(known[0]);
  });
});
