import { gzipSync } from "node:zlib";
import { afterEach, describe, expect, it } from "vitest";
import { createRng, PlatformError } from "../../core/index.ts";
import { catalogShapes } from "../catalog/index.ts";
import { readAwsPrices } from "./aws.ts";
import { readAwsPriceList, type AwsPriceList } from "./aws-price-list.ts";
import { parseSpotAdvisor } from "./aws-spot-advisor.ts";
import { Downloads } from "./download.ts";
import type { PriceReading } from "./reading.ts";
import {
  createHastyClock,
  startTestServer,
  type TestAnswer,
  type TestServer,
} from "./test-server.ts";

const COLUMNS = [
  ...["SKU", "OfferTermCode", "RateCode", "TermType", "PriceDescription", "EffectiveDate"],
  ...["StartingRange", "EndingRange", "Unit", "PricePerUnit", "Currency", "Product Family"],
  ...["Location Type", "Instance Type", "vCPU", "Memory", "Tenancy", "Operating System"],
  ...["Pre Installed S/W", "CapacityStatus", "MarketOption", "Region Code"],
] as const;

type Cells = Partial<Record<(typeof COLUMNS)[number], string>>;

/** A row of the list; by default the on-demand price of a plain Linux machine. */
function row(instanceType: string, usd: string, changes: Cells = {}): string {
  const cells: Cells = {
    SKU: "ABCDEF0123456789",
    TermType: "OnDemand",
    PriceDescription: `$${usd} per On Demand Linux ${instanceType}, "all in"`,
    Unit: "Hrs",
    PricePerUnit: usd,
    Currency: "USD",
    "Product Family": "Compute Instance",
    "Location Type": "AWS Region",
    "Instance Type": instanceType,
    Tenancy: "Shared",
    "Operating System": "Linux",
    "Pre Installed S/W": "NA",
    CapacityStatus: "Used",
    MarketOption: "OnDemand",
    "Region Code": "eu-west-1",
    ...changes,
  };
  return line(COLUMNS.map((column) => cells[column] ?? ""));
}

function line(cells: readonly string[]): string {
  return cells.map((cell) => `"${cell.replaceAll('"', '""')}"`).join(",");
}

function listOf(...rows: readonly string[]): string {
  const facts = [
    ["FormatVersion", "v1.0"],
    ["Disclaimer", "This list is for information only, and so on"],
    ["Publication Date", "2026-11-20T18:03:11Z"],
    ["Version", "20261120180311"],
    ["OfferCode", "AmazonEC2"],
  ];
  return [...facts.map(line), line(COLUMNS), ...rows, ""].join("\n");
}

/** The text in pieces of a few bytes, as a network might deliver it. */
async function* pieces(text: string): AsyncGenerator<Uint8Array> {
  const bytes = Buffer.from(text);
  for (let start = 0; start < bytes.length; start += 61) yield bytes.subarray(start, start + 61);
}

function read(text: string): Promise<AwsPriceList> {
  const instanceTypes = new Set(["g6.xlarge", "m7i.4xlarge"]);
  return readAwsPriceList(pieces(text), { region: "eu-west-1", instanceTypes });
}

describe("the EC2 price list", () => {
  it("gives the on-demand price of each type that is asked for, and when it was published", async () => {
    const list = listOf(
      row("g6.xlarge", "0.8982000000"),
      row("m7i.4xlarge", "0.8988000000"),
      row("z9.huge", "1"),
    );
    expect(await read(list)).toEqual({
      publishedAt: "2026-11-20T18:03:11Z",
      prices: [
        { instanceType: "g6.xlarge", purchase: "on-demand", microUsdPerHour: 898_200 },
        { instanceType: "m7i.4xlarge", purchase: "on-demand", microUsdPerHour: 898_800 },
      ],
    });
  });

  it.each<[string, Cells]>([
    ["a reservation", { TermType: "Reserved", Unit: "Hrs" }],
    ["a fee that is paid once", { Unit: "Quantity" }],
    ["Windows", { "Operating System": "Windows" }],
    ["Red Hat", { "Operating System": "RHEL" }],
    ["a database on it", { "Pre Installed S/W": "SQL Std" }],
    ["a dedicated machine", { Tenancy: "Dedicated" }],
    ["a dedicated host", { Tenancy: "Host", "Product Family": "Dedicated Host" }],
    ["a reserved slot that is not used", { CapacityStatus: "UnusedCapacityReservation" }],
    ["a slot of capacity that was bought", { MarketOption: "CapacityBlock" }],
    ["a local zone", { "Location Type": "AWS Local Zone", "Region Code": "eu-west-1-x" }],
    ["another region", { "Region Code": "eu-west-2" }],
    ["another currency", { Currency: "CNY" }],
    ["no price", { PricePerUnit: "0.0000000000" }],
    ["a price that is no number", { PricePerUnit: "N/A" }],
    ["an empty price", { PricePerUnit: "" }],
  ])("passes over the price of %s", async (_, changes) => {
    const list = listOf(row("g6.xlarge", "0.5", changes), row("m7i.4xlarge", "0.9"));
    const { prices } = await read(list);
    expect(prices.map(({ instanceType }) => instanceType)).toEqual(["m7i.4xlarge"]);
  });

  it("takes the highest of several prices of one type", async () => {
    const usd = ["0.5", "0.7", "0.6"];
    const { prices } = await read(listOf(...usd.map((one) => row("g6.xlarge", one))));
    expect(prices).toMatchObject([{ microUsdPerHour: 700_000 }]);
  });

  it("reads lists of before there were capacity blocks and local zones", async () => {
    const old = listOf(row("g6.xlarge", "0.5"))
      .replaceAll('"MarketOption",', "")
      .replaceAll('"Location Type",', "")
      .replaceAll('"Used","OnDemand"', '"Used"')
      .replaceAll('"Compute Instance","AWS Region"', '"Compute Instance"');
    expect((await read(old)).prices).toMatchObject([{ microUsdPerHour: 500_000 }]);
  });

  it.each([
    ["lacks a column", listOf().replace('"Tenancy",', ""), false, 'no column "Tenancy"'],
    ["ends before its header", "FormatVersion,v1.0\n", true, "no row that begins with SKU"],
    ["is a page", "<html><body>gone</body></html>", true, "no row that begins with SKU"],
    ["is cut off in a cell", listOf('"ABC","half a ce'), true, "cut off or no CSV"],
    ["is empty", "", true, "no row that begins with SKU"],
  ])("is refused when it %s", async (_, text, retryable, words) => {
    const error: unknown = await read(text).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(PlatformError);
    expect(error).toMatchObject({ code: "unavailable", retryable });
    expect((error as Error).message).toContain(words);
  });
});

const ADVISOR = {
  global_rate: "<10%",
  instance_types: { "g6.xlarge": { cores: 4, emr: true, ram_gb: 16 } },
  ranges: [
    { index: 0, label: "<5%", dots: 0, max: 5 },
    { index: 1, label: "5-10%", dots: 1, max: 11 },
    { index: 4, label: ">20%", dots: 4, max: 100 },
  ],
  spot_advisor: {
    "eu-west-1": {
      Linux: {
        "g6.xlarge": { s: 60, r: 1 },
        "g6.2xlarge": { s: 100, r: 0 },
        "c5.large": { s: 1, r: 9 },
      },
      Windows: { "g6.xlarge": { s: 10, r: 4 } },
    },
    "eu-west-9": {},
  },
};

describe("the Spot Advisor's file", () => {
  it("gives saving and interruptions of Linux machines", () => {
    const advice = parseSpotAdvisor(ADVISOR).get("eu-west-1");
    expect(advice?.get("g6.xlarge")).toEqual({ savingFraction: 0.6, interruptions: "5-10%" });
  });

  it("leaves out what is free, and ranges that it does not name", () => {
    expect([...(parseSpotAdvisor(ADVISOR).get("eu-west-1")?.keys() ?? [])]).toEqual(["g6.xlarge"]);
    expect(parseSpotAdvisor(ADVISOR).get("eu-west-9")?.size).toBe(0);
  });

  it.each([[{}], [{ ...ADVISOR, ranges: {} }], ["<html>"], [null]])("is refused as %j", (file) => {
    expect(() => parseSpotAdvisor(file)).toThrow(/Spot Advisor's file has a layout/);
  });
});

describe("readAwsPrices", () => {
  let server: TestServer | undefined;
  afterEach(async () => server?.close());

  async function reading(
    answer: (url: URL, earlierCount: number) => TestAnswer,
    regions: readonly string[],
  ): Promise<PriceReading> {
    server = await startTestServer(answer);
    const clock = createHastyClock(1_800_000_000_000);
    return readAwsPrices(
      { shapes: catalogShapes("aws"), regions },
      { priceListUrl: `${server.url}/mirror/`, spotAdvisorUrl: `${server.url}/advisor.json` },
      {
        downloads: new Downloads({ clock, rng: createRng(1) }),
        nowMs: () => clock.nowMs(),
        onProgress: () => undefined,
      },
    );
  }

  const list = gzipSync(listOf(row("g6.xlarge", "0.9"), row("m7i.4xlarge", "0.8")));
  const advisor = { body: JSON.stringify(ADVISOR) };

  it("gives a sheet with on-demand and spot prices, read from a mirror", async () => {
    const { sheets, failures } = await reading(
      (url) => (url.pathname === "/advisor.json" ? advisor : { body: list }),
      ["eu-west-1"],
    );
    expect(failures).toEqual([]);
    expect(server?.asked.toSorted()).toEqual([
      "/advisor.json",
      "/mirror/offers/v1.0/aws/AmazonEC2/current/eu-west-1/index.csv",
    ]);
    expect(sheets).toEqual([
      {
        covers: ["on-demand", "spot"],
        sheet: {
          cloud: "aws",
          region: "eu-west-1",
          source: "EC2 price list of 2026-11-20",
          readAtMs: 1_800_000_000_000,
          prices: [
            { instanceType: "g6.xlarge", purchase: "on-demand", microUsdPerHour: 900_000 },
            { instanceType: "m7i.4xlarge", purchase: "on-demand", microUsdPerHour: 800_000 },
            {
              instanceType: "g6.xlarge",
              purchase: "spot",
              microUsdPerHour: 360_000,
              interruptions: "5-10%",
            },
          ],
        },
      },
    ]);
  });

  it("keeps the regions that could be read when another could not", async () => {
    const { sheets, failures } = await reading(
      (url) => {
        if (url.pathname === "/advisor.json") return advisor;
        return url.pathname.includes("eu-west-1") ? { body: list } : { status: 404 };
      },
      ["mars-1", "eu-west-1", "eu-west-1"],
    );
    expect(sheets.map(({ sheet }) => sheet.region)).toEqual(["eu-west-1"]);
    expect(failures).toMatchObject([{ what: "aws mars-1", error: { code: "not_found" } }]);
  });

  it("gives on-demand prices alone when the Spot Advisor cannot be read", async () => {
    const { sheets, failures } = await reading(
      (url) => (url.pathname === "/advisor.json" ? { status: 403 } : { body: list }),
      ["eu-west-1"],
    );
    expect(failures).toMatchObject([{ what: "aws spot", error: { code: "auth_failed" } }]);
    expect(sheets[0]?.covers).toEqual(["on-demand"]);
    expect(sheets[0]?.sheet.prices.map(({ purchase }) => purchase)).toEqual([
      "on-demand",
      "on-demand",
    ]);
  });

  it("reads a list again that was cut off, from its beginning", async () => {
    const { sheets } = await reading(
      (url, earlierCount) => {
        if (url.pathname === "/advisor.json") return advisor;
        return earlierCount === 0
          ? { body: list.subarray(0, list.length - 40), fault: "cut" }
          : { body: list };
      },
      ["eu-west-1"],
    );
    expect(sheets[0]?.sheet.prices).toHaveLength(3);
  });
});
