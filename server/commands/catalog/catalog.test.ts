import { describe, expect, it } from "vitest";
import type { PriceSheet } from "../../../providers/index.ts";
import type { OfferRecord } from "../../fleet/observed/offer-record.ts";
import type { RefreshOutcome } from "../../prices/refresh.ts";
import { CommandError } from "../outcome.ts";
import { listedOffers, listText, priceOrigin } from "./list.ts";
import { cloudsOf, regionsOf } from "./options.ts";
import { refreshDocument, refreshText } from "./refresh-text.ts";
import { showText, shownOffers } from "./show.ts";

const HOUR_MS = 3_600_000;
const NOW_MS = Date.UTC(2026, 10, 26);

const SHEET: PriceSheet = {
  cloud: "aws",
  region: "us-east-1",
  source: "EC2 price list of 2026-11-20",
  readAtMs: NOW_MS - 30 * HOUR_MS,
  prices: [{ instanceType: "g6.xlarge", purchase: "on-demand", microUsdPerHour: 812_345 }],
};

const usage = (attempt: () => unknown): CommandError => {
  try {
    attempt();
  } catch (error) {
    if (error instanceof CommandError) return error;
    throw error;
  }
  throw new Error("a CommandError was expected");
};

describe("catalog list", () => {
  it("shows the price in force, and where it comes from", () => {
    const offers = listedOffers({ cloud: ["aws"], region: ["us-east-1"], gpu: "L4" }, [SHEET]);
    const text = listText(offers, [SHEET], NOW_MS);
    expect(text).toMatch(
      /aws us-east-1 +g6\.xlarge +on-demand +1 L4 .* 0\.8123 +STALE: read 30 h ago/,
    );
    expect(text).toMatch(/g6\.2xlarge +spot .*built in/);
    expect(text).not.toContain("g5.xlarge");
    expect(listText(offers, [], NOW_MS)).toContain("All prices are built in");
  });

  it("lists machines without GPUs when none is asked for", () => {
    const offers = listedOffers({ gpu: "none" }, []);
    expect(offers.length).toBeGreaterThan(0);
    expect(offers.every(({ gpuType }) => gpuType === undefined)).toBe(true);
  });

  it("says what it takes when it is asked for what there is not", () => {
    expect(usage(() => listedOffers({ gpu: "H1000" }, [])).message).toContain("did you mean H100?");
    expect(usage(() => listedOffers({ region: ["mars-1"] }, [])).kind).toBe("not_found");
    expect(usage(() => cloudsOf({ cloud: ["azur"] })).message).toContain("did you mean azure?");
    expect(usage(() => regionsOf({ region: ["US East"] })).kind).toBe("usage");
  });

  it("calls a price stale after a day, and an old one never free", () => {
    const at = (hours: number) => priceOrigin({ pricedAtMs: NOW_MS - hours * HOUR_MS }, NOW_MS);
    expect([at(-1), at(24), at(24.1)]).toEqual([
      "read 0 h ago",
      "read 24 h ago",
      "STALE: read 24 h ago",
    ]);
    expect(priceOrigin({}, NOW_MS)).toBe("built in");
  });
});

describe("catalog show", () => {
  const record: OfferRecord = {
    key: "aws/us-east-1/us-east-1b/g6.xlarge/spot",
    atMs: NOW_MS,
    askedCount: 4,
    refusedCount: 1,
    failedCount: 1,
    boots: [[66, 2]],
    nodeHours: 12,
    reclaimCount: 1,
  };
  const of = (machine: string) =>
    shownOffers({ machine, options: {}, sheets: [SHEET], records: [record], nowMs: NOW_MS });

  it("shows built-in and read prices, and what was seen in each zone", () => {
    const shown = of("g6.xlarge").filter(({ inForce }) => inForce.region === "us-east-1");
    const text = showText(shown, NOW_MS);
    expect(text).toMatch(/aws\/us-east-1\/\*\/g6\.xlarge\/on-demand +0\.8048 +0\.8123 +STALE/);
    expect(text).toMatch(
      /us-east-1b\/g6\.xlarge\/spot +4\.0 +2\.0 +\d+ s\/\d+ s +12\.0 +1\.0 +0\.143/,
    );
  });

  it("finds an offer by its id, also that of one zone", () => {
    const [shown, ...rest] = of(record.key);
    expect(rest).toEqual([]);
    expect(shown?.inForce.offerId).toBe("aws/us-east-1/*/g6.xlarge/spot");
    expect(shown?.seen).toHaveLength(1);
    expect(of("aws/eu-west-2/*/g6.xlarge/spot")[0]?.seen).toEqual([]);
  });

  it("says so when nothing was seen, and when there is no such machine", () => {
    expect(showText(of("p5.48xlarge"), NOW_MS)).toContain("Nothing was seen of them yet");
    expect(usage(() => of("z9.huge")).kind).toBe("not_found");
  });
});

describe("catalog refresh", () => {
  const outcome: RefreshOutcome = {
    sheets: [SHEET],
    regions: [
      {
        sheet: SHEET,
        changes: [
          {
            instanceType: "g6.xlarge",
            purchase: "on-demand",
            beforeMicroUsdPerHour: 804_800,
            afterMicroUsdPerHour: 812_345,
          },
          { instanceType: "g6.xlarge", purchase: "spot", afterMicroUsdPerHour: 300_000 },
        ],
        held: [
          {
            instanceType: "p5.48xlarge",
            purchase: "spot",
            listedMicroUsdPerHour: 1_000_000,
            keptMicroUsdPerHour: 26_000_000,
            reason: "the last one is 26.0 times it",
          },
        ],
        gone: ["p3.2xlarge/spot"],
      },
    ],
    kept: [{ what: "gcp", reason: "no key" }],
  };

  it("names what changed, what was held back and what was kept", () => {
    const text = refreshText(
      { outcome, skipped: [], path: "/data/prices.json" },
      { isDryRun: false },
    );
    expect(text).toContain(
      "✔ aws us-east-1: 1 prices (1 new, 1 changed, 1 gone, 1 held back) from EC2 price list of 2026-11-20",
    );
    expect(text).toMatch(/g6\.xlarge on-demand +\$0\.8048 +\$0\.8123 +\+0\.9 %/);
    expect(text).toMatch(/g6\.xlarge spot +- +\$0\.3000 +new/);
    expect(text).toContain("p5.48xlarge spot: $1.0000 an hour is held back: the last one is 26.0");
    expect(text).toContain("✖ gcp: no key; its last prices stay in force");
    expect(text).toContain("✔ Prices of 1 regions are in /data/prices.json.");
  });

  it("writes nothing in a dry run, and shows every change", () => {
    const [region] = outcome.regions;
    const changes = Array.from({ length: 30 }, (_, index) => ({
      instanceType: `t${index}.x`,
      purchase: "spot" as const,
      beforeMicroUsdPerHour: 1_000,
      afterMicroUsdPerHour: 1_001 + index,
    }));
    const many = { ...outcome, regions: region === undefined ? [] : [{ ...region, changes }] };
    const dry = refreshText({ outcome: many, skipped: [] }, { isDryRun: true });
    expect(dry).toContain("this was a dry run");
    expect(dry.match(/t\d+\.x spot/g)).toHaveLength(30);
    const wet = refreshText({ outcome: many, skipped: [], path: "p" }, { isDryRun: false });
    expect(wet.match(/t\d+\.x spot/g)).toHaveLength(20);
    expect(wet).toContain("… and 10 smaller changes");
  });

  it("gives programs all of it", () => {
    const document = refreshDocument({
      outcome,
      skipped: [{ cloud: "gcp", reason: "no key" }],
    });
    expect(document).toMatchObject({
      path: null,
      regions: [{ cloud: "aws", region: "us-east-1", priceCount: 1, gone: ["p3.2xlarge/spot"] }],
      kept: [{ what: "gcp" }],
      skipped: [{ cloud: "gcp" }],
    });
  });
});
