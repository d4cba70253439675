import { existsSync, readFileSync } from "node:fs";
import { describe, expect, it, test } from "vitest";
import { offerIdOf, PlatformError } from "../../core/index.ts";
import { canonicalGpu } from "./gpu-names.ts";
import { readOffers } from "./read-offers.ts";

const CATALOG_HEAD =
  "cloud,region,zone,instance_type,gpu,gpu_count,gpu_mem_gib,vcpus,mem_gib,ondemand_usd_h," +
  "spot_usd_h,reserved_1y_usd_h,aws_interruption_bucket,price_source,spot_source";
const OWN_HEAD =
  "cloud,region,instance_type,purchase,gpu,gpu_count,cpu_milli,memory_mib,usd_per_hour";

const catalog = (...rows: readonly string[]): string => [CATALOG_HEAD, ...rows, ""].join("\n");
const own = (...rows: readonly string[]): string => [OWN_HEAD, ...rows, ""].join("\n");

function refusalOf(text: string): string {
  try {
    readOffers(text, "o.csv");
  } catch (error) {
    expect(error).toBeInstanceOf(PlatformError);
    expect((error as PlatformError).code).toBe("invalid_request");
    return (error as PlatformError).message;
  }
  throw new Error(`not refused: ${text}`);
}

describe("a public price list", () => {
  const G4DN = "aws,af-south-1,,g4dn.12xlarge,T4,4,16,48,192,5.19,0.6747,3.542,<5%,v,a";

  it("makes an on-demand and a spot offer of one row", () => {
    const { offers, rowCount, passedOver } = readOffers(catalog(G4DN), "o.csv");
    expect({ rowCount, passedOver }).toEqual({ rowCount: 1, passedOver: [] });
    const [onDemand, spot] = offers;
    expect(onDemand).toEqual({
      offerId: "aws/af-south-1/*/g4dn.12xlarge/on-demand",
      cloud: "aws",
      region: "af-south-1",
      instanceType: "g4dn.12xlarge",
      purchase: "on-demand",
      gpuType: "T4",
      resources: { gpuCount: 4, cpuMilli: 48_000, memoryMiB: 196_608 },
      priceMicroUsdPerHour: 5_190_000,
      reclaimFractionPerHour: 0,
      bootMs: 90_000,
      nodeCountMax: 100,
      quotaGroups: [
        "aws",
        "aws/af-south-1",
        "aws/af-south-1/on-demand",
        "aws/af-south-1/T4/on-demand",
      ],
      emulated: false,
    });
    expect(spot).toMatchObject({ purchase: "spot", priceMicroUsdPerHour: 674_700 });
    expect(offers.map(offerIdOf)).toEqual(offers.map(({ offerId }) => offerId));
  });

  it.each([
    ["<5%", 0.025],
    ["5-10%", 0.075],
    ["10-15%", 0.125],
    ["15-20%", 0.175],
    [">20%", 0.3],
    ["", 0.3],
  ])("turns the bucket %j into a rate that a month makes %f of", (bucket, monthly) => {
    const row = `aws,us-east-1,,g6.xlarge,L4,1,22.4,4,16,0.8,0.3,,${bucket},v,a`;
    const { offers } = readOffers(catalog(row), "o.csv");
    const rate = offers[1]?.reclaimFractionPerHour ?? 0;
    expect(1 - (1 - rate) ** 730).toBeCloseTo(monthly, 9);
    expect(offers[0]?.reclaimFractionPerHour).toBe(0);
  });

  it("counts by reason the rows that no plan can use", () => {
    const { offers, passedOver, rowCount } = readOffers(
      catalog(
        "aws,us-east-1,,g6f.large,L4,0.125,2.8,2,8,0.29,,,,v,",
        "aws,us-east-1,,p2.xlarge,K80,1,12,4,61,0.9,,,,v,",
        "aws,us-west-2,,p2.xlarge,K80,1,12,4,61,0.9,,,,v,",
        "gcp,us-west1,,m60,M60,1,12,4,61,0.9,,,,v,",
        "oci,eu,,vm,T4,1,16,4,61,0.9,,,,v,",
        "aws,us-east-1,,c7i.large,,0,,2,4,,,,,v,",
        "aws,us-east-1,,c7i.xlarge,,0,,4,8,0.18,,,,v,",
      ),
      "o.csv",
    );
    expect(rowCount).toBe(7);
    expect(offers.map(({ offerId }) => offerId)).toEqual(["aws/us-east-1/*/c7i.xlarge/on-demand"]);
    expect(passedOver).toEqual([
      {
        reason: "a GPU type without a name here",
        rowCount: 3,
        names: [
          { name: "K80", rowCount: 2 },
          { name: "M60", rowCount: 1 },
        ],
      },
      { reason: "a cloud without a name here", rowCount: 1, names: [{ name: "oci", rowCount: 1 }] },
      { reason: "a slice of a GPU (vGPU)", rowCount: 1, names: [] },
      { reason: "no price", rowCount: 1, names: [] },
    ]);
  });

  it.each([
    ["a negative price", "aws,r,,t,T4,1,16,4,16,-1,,,,v,", 'must be a number >= 0, not "-1"'],
    ["no number", "aws,r,,t,T4,1,16,4,16,NaN,,,,v,", 'must be a number >= 0, not "NaN"'],
    ["no end", "aws,r,,t,T4,1,16,4,16,1e999,,,,v,", 'must be a number >= 0, not "1e999"'],
    ["hexadecimal", "aws,r,,t,T4,1,16,0x4,16,1,,,,v,", 'vcpus must be a number >= 0, not "0x4"'],
    ["no region", "aws,,,t,T4,1,16,4,16,1,,,,v,", "region is empty"],
    ["no memory", "aws,r,,t,T4,1,16,4,,1,,,,v,", "mem_gib is empty"],
    ["a GPU that is none", "aws,r,,t,T4,0,16,4,16,1,,,,v,", 'gpu is "T4" but gpu_count is 0'],
    ["a bucket that is none", "aws,r,,t,T4,1,16,4,16,1,0.5,,<50%,v,", "(did you mean <5%?)"],
    ["too few columns", "aws,r,,t,T4,1", "has 6 columns"],
    ["an open quote", 'aws,r,,"t,T4,1,16,4,16,1,,,,v,', "Quote"],
    ["an escape", "aws,r\u001b[2J,,t,T4,1,16,4,16,1,,,,v,", "printable characters"],
  ])("refuses %s with its line, even where the row is of no use", (_name, row, expected) => {
    const message = refusalOf(catalog(G4DN, row));
    expect(message).toMatch(/^o\.csv, line 3: /);
    expect(message).toContain(expected);
  });

  it("refuses the same offer twice and names both lines", () => {
    expect(refusalOf(catalog(G4DN, "", G4DN))).toBe(
      "o.csv, line 4: offer aws/af-south-1/*/g4dn.12xlarge/on-demand is in line 2 already",
    );
  });

  it("refuses a header without a column that is needed", () => {
    const head = CATALOG_HEAD.replace("ondemand_usd_h", "on_demand_usd_h");
    expect(refusalOf(head)).toBe(
      "o.csv, line 1: the price list layout lacks the column ondemand_usd_h" +
        " (is on_demand_usd_h meant to be it?)",
    );
    expect(refusalOf("a,b\n1,2\n")).toContain("line 1: the price list layout lacks the columns");
    expect(refusalOf("")).toBe("o.csv, line 1: the file is empty: it needs a header row");
    expect(refusalOf("a,a\n")).toContain("the column a is there twice");
    expect(refusalOf("a,,b\n")).toContain("column 2 has no name");
  });

  it("has no offers when it has no rows", () => {
    expect(readOffers(catalog(), "o.csv")).toEqual({ offers: [], rowCount: 0, passedOver: [] });
  });
});

describe("our own layout", () => {
  it("takes a row with what must be there and fills in the rest", () => {
    const { offers } = readOffers(
      own("aws,us-east-1,p5.48xlarge,spot,H100,8,192000,2097152,24.8"),
      "o.csv",
    );
    expect(offers).toEqual([
      {
        offerId: "aws/us-east-1/*/p5.48xlarge/spot",
        cloud: "aws",
        region: "us-east-1",
        instanceType: "p5.48xlarge",
        purchase: "spot",
        gpuType: "H100",
        resources: { gpuCount: 8, cpuMilli: 192_000, memoryMiB: 2_097_152 },
        priceMicroUsdPerHour: 24_800_000,
        reclaimFractionPerHour: 0,
        bootMs: 240_000,
        nodeCountMax: 100,
        quotaGroups: [],
        emulated: false,
      },
    ]);
  });

  it("takes every column, in any order, with comments and quotes", () => {
    const text = [
      "# made by hand",
      "\uFEFFoffer_id,zone,reclaim_fraction_per_hour,boot_s,launch_failure_fraction," +
        `node_count_max,quota_groups,${OWN_HEAD}`,
      'mine,a-1,0.01,12.5,0.2,7,"a;b; a",gcp,r,t,spot,,0,4000,16384,0.1',
    ].join("\n");
    expect(readOffers(text.replace("\uFEFF", ""), "o.csv").offers).toEqual([
      {
        offerId: "mine",
        cloud: "gcp",
        region: "r",
        zone: "a-1",
        instanceType: "t",
        purchase: "spot",
        resources: { gpuCount: 0, cpuMilli: 4_000, memoryMiB: 16_384 },
        priceMicroUsdPerHour: 100_000,
        reclaimFractionPerHour: 0.01,
        bootMs: 12_500,
        launchFailureFraction: 0.2,
        nodeCountMax: 7,
        quotaGroups: ["a", "b"],
        emulated: false,
      },
    ]);
  });

  it.each([
    [
      "a negative price",
      "aws,r,t,spot,T4,1,1,1,-5",
      'usd_per_hour must be a number >= 0, not "-5"',
    ],
    ["no number", "aws,r,t,spot,T4,1,1,1,NaN", 'usd_per_hour must be a number >= 0, not "NaN"'],
    ["an unknown GPU", "aws,r,t,spot,H10O,1,1,1,1", "(did you mean H100?)"],
    ["an unknown cloud", "asw,r,t,spot,H100,1,1,1,1", "(did you mean aws?)"],
    ["an unknown purchase option", "aws,r,t,spott,H100,1,1,1,1", "(did you mean spot?)"],
    ["half a GPU", "aws,r,t,spot,H100,0.5,1,1,1", "gpu_count must be a whole number >= 0"],
    ["a GPU without a count", "aws,r,t,spot,H100,,1,1,1", "gpu and gpu_count must both be given"],
    ["commitments to nobody knows how many", "aws,r,t,reserved,H100,1,1,1,1", "are committed"],
  ])("refuses %s", (_name, row, expected) => {
    expect(refusalOf(own(row))).toContain(expected);
  });

  it("refuses unknown columns, so that no figure is dropped in silence", () => {
    const message = refusalOf(`${OWN_HEAD},node_count\naws,r,t,spot,T4,1,1,1,1,5\n`);
    expect(message).toContain('line 1: unknown column "node_count"');
    expect(refusalOf(`${OWN_HEAD},zones\n`)).toContain("did you mean zone?");
  });

  it.each([
    ["reclaim_fraction_per_hour", "on-demand", "0.5", "only spot is reclaimed"],
    ["reclaim_fraction_per_hour", "spot", "1.5", "must be a number from 0 to 1"],
    ["launch_failure_fraction", "spot", "1", "must be below 1"],
    ["node_count_max", "spot", "2.5", "must be a whole number"],
  ])("refuses %s of %s being %s", (column, purchase, value, expected) => {
    const text = `${OWN_HEAD},${column}\naws,r,t,${purchase},T4,1,1,1,1,${value}\n`;
    expect(refusalOf(text)).toContain(expected);
  });
});

test("the names of price lists become ours; the two kinds of A100 are told apart by memory", () => {
  const cases: readonly (readonly [string, number, number | undefined, string | undefined])[] = [
    ["A10G", 1, 24, "A10"],
    ["H100-MEGA", 8, 80, "H100"],
    ["RTXPRO6000", 1, 96, "RTX-PRO-6000"],
    ["V100-32GB", 8, 32, "V100"],
    ["A100", 8, 40, "A100-40GB"],
    ["A100", 8, 80, "A100-80GB"],
    ["A100", 2, 160, "A100-80GB"],
    ["A100", 1, undefined, undefined],
    ["A100-80GB", 1, 80, "A100-80GB"],
    ["H200", 8, 1_123.2, "H200"],
    ["K80", 1, 12, undefined],
    ["toString", 1, 12, undefined],
  ];
  for (const [listed, gpuCount, memoryGib, expected] of cases) {
    expect(canonicalGpu(listed, gpuCount, memoryGib), listed).toBe(expected);
  }
});

test("the example offers are read whole", () => {
  const path = new URL("../../examples/plans/offers.csv", import.meta.url);
  expect(existsSync(path)).toBe(true);
  const { offers, rowCount } = readOffers(readFileSync(path, "utf8"), "offers.csv");
  expect(offers).toHaveLength(rowCount);
});
