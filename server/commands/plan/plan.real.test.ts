import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text as textOf } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it, test } from "vitest";
import type { PlanDocument } from "./plan-document.ts";

const pathOf = (relative: string): string =>
  fileURLToPath(new URL(`../../../${relative}`, import.meta.url));
const PROGRAM = pathOf("sdk/bin/flotilla.mjs");
const OFFERS = pathOf("examples/plans/offers.csv");
const DEMAND = pathOf("examples/plans/demand.json");
const FLEET = pathOf("examples/plans/fleet.json");
const QUOTAS = pathOf("examples/plans/quotas.json");
const POLICY = pathOf("examples/policies/balanced.yaml");
const CATALOG = pathOf("../shared/data/price-catalog/catalog.csv");
const EXAMPLE = ["--offers", OFFERS, "--demand", DEMAND] as const;

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "flotilla-plan-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

interface Ran {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** What the command printed; progress, which a slow machine shows, is left out. */
async function plan(args: readonly string[], input = ""): Promise<Ran> {
  const child = spawn(process.execPath, [PROGRAM, "plan", ...args], { cwd: folder });
  child.stdin.on("error", () => undefined);
  child.stdin.end(input);
  const [stdout, stderr] = await Promise.all([
    textOf(child.stdout),
    textOf(child.stderr),
    once(child, "close"),
  ]);
  return { status: child.exitCode, stdout, stderr: stderr.replace(/^• planning.*\n/gm, "") };
}

async function planned(args: readonly string[]): Promise<PlanDocument> {
  const { status, stdout, stderr } = await plan([...args, "--json"]);
  expect(stderr).toBe("");
  expect(status).toBe(0);
  return JSON.parse(stdout) as PlanDocument;
}

function written(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

describe("flotilla plan with files", () => {
  it("prints a plan as a table", async () => {
    const files = ["--policy", POLICY, "--fleet", FLEET, "--quotas", QUOTAS];
    const { status, stdout, stderr } = await plan([...EXAMPLE, ...files]);
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    expect(stdout).toMatch(/^Plan \(optimal\) by highs in [\d,]+ ms from 15 offers\n/);
    expect(stdout).toMatch(/MACHINE +WHERE +COUNT +CHANGE/);
    expect(stdout).toContain("    why: ");
    expect(stdout).toMatch(/\nobjective +\$/);
  });

  it("prints the same plan as JSON, with the fields that programs rely on", async () => {
    const document = await planned([...EXAMPLE, "--fleet", FLEET]);
    expect(document.status).toBe("optimal");
    expect(document.gapFraction).toBeLessThanOrEqual(0.001);
    expect(document.boundUsdPerHour).toBeLessThanOrEqual(document.objectiveUsdPerHour);
    const sum = Object.values(document.terms).reduce((total, usd) => total + usd, 0);
    expect(sum).toBeCloseTo(document.objectiveUsdPerHour, 4);
    expect(document.unmet).toEqual([]);
    for (const line of document.lines) {
      expect(line.count).toBeGreaterThanOrEqual(0);
      expect(line.reason).not.toBe("");
      expect(Object.keys(line)).toEqual(
        expect.arrayContaining(["cloud", "region", "zone", "instanceType", "purchase", "delta"]),
      );
    }
    expect(document.offerRows).toEqual({ read: 15, passedOver: [] });
  });

  it("keeps to the policy, the quotas and the time limit it is given", async () => {
    const policy = written("aws.yaml", "optimizer: { clouds: [aws], spotAllowed: false }\n");
    const { lines } = await planned([...EXAMPLE, "--policy", policy, "--time-limit-s", "2.5"]);
    const rented = lines.filter(({ count }) => count > 0);
    expect(rented).not.toHaveLength(0);
    for (const line of rented) expect(line).toMatchObject({ cloud: "aws", purchase: "on-demand" });
  });

  it("reads one file from standard input", async () => {
    const args = ["--offers", "-", "--demand", DEMAND, "--json"];
    const { status, stdout } = await plan(args, readFileSync(OFFERS, "utf8"));
    expect(status).toBe(0);
    expect((JSON.parse(stdout) as PlanDocument).lines).not.toHaveLength(0);
  });

  it("prints both plans and their differences for a what-if", async () => {
    const changes = ["--what-if", "region:us-west-1=gone", "--what-if", "price:gcp/*/spot=x3"];
    const text = await plan([...EXAMPLE, ...changes]);
    expect(text.status).toBe(0);
    expect(text.stdout).toMatch(/COST\/H +AS GIVEN +WHAT IF +DIFFERENCE/);
    expect(text.stdout).toMatch(/gpu_8x_h100_sxm5 on-demand +lambda us-west-1 +2 +0 +-2/);
    const json = await plan([...EXAMPLE, ...changes, "--json"]);
    const both = JSON.parse(json.stdout) as Record<"asGiven" | "whatIf", PlanDocument>;
    expect(both.whatIf.objectiveUsdPerHour).toBeGreaterThan(both.asGiven.objectiveUsdPerHour);
    expect(both).toMatchObject({
      changes: ["region:us-west-1=gone", "price:gcp/*/spot=x3"],
      differences: { objectiveUsdPerHour: { asGiven: both.asGiven.objectiveUsdPerHour } },
    });
  });

  it("names unmet demand and ends with 0 while anything is served", async () => {
    const demand = JSON.stringify({
      classes: [
        { id: "some", gpu: ["H100"], gpuCount: 1, cpu: 1, memoryMiB: 1024 },
        { id: "none", gpu: ["B300"], gpuCount: 1, cpu: 1, memoryMiB: 1024 },
      ],
      scenarios: [{ id: "now", probability: 1, quantity: { some: 1_000_000_000, none: 1 } }],
    });
    const path = written("much.json", demand);
    const { status, stdout } = await plan(["--offers", OFFERS, "--demand", path]);
    expect(status).toBe(0);
    expect(stdout).toMatch(/✖ 999,999,\d{3} of some in scenario now: /);
    expect(stdout).toContain("✖ 1 of none in scenario now: no offer has GPU B300");
  });

  it("ends with 5 when nothing of the demand can be served, and still prints the plan", async () => {
    const [head = ""] = readFileSync(OFFERS, "utf8").split("\n").slice(1);
    const empty = written("empty.csv", `${head}\n`);
    const { status, stdout } = await plan(["--offers", empty, "--demand", DEMAND, "--json"]);
    expect(status).toBe(5);
    expect((JSON.parse(stdout) as PlanDocument).unmet).not.toHaveLength(0);
    const quotas = written("zero.json", JSON.stringify({ "azure/westeurope/NCads": 0 }));
    const policy = written("azure.yaml", "optimizer: { clouds: [azure] }\n");
    const closed = await plan([...EXAMPLE, "--quotas", quotas, "--policy", policy]);
    expect(closed.status).toBe(5);
    expect(closed.stdout).toContain("quota azure/westeurope/NCads (0 nodes)");
  });

  it("plans nothing, and ends with 0, when nothing is wanted", async () => {
    const path = written(
      "no.json",
      '{"classes":[],"scenarios":[{"id":"s","probability":1,"quantity":{}}]}',
    );
    const { status, stdout } = await plan(["--offers", OFFERS, "--demand", path]);
    expect(status).toBe(0);
    expect(stdout).toContain("No machines are wanted.");
  });
});

describe("flotilla plan refuses with exit code 2", () => {
  it.each([
    ["one file without the other", ["--offers", OFFERS], "also needs --demand"],
    ["two from standard input", ["--offers", "-", "--demand", "-"], "--offers and --demand"],
    ["a file that is not there", ["--offers", "no.csv", "--demand", DEMAND], "--offers no.csv"],
    ["no time", [...EXAMPLE, "--time-limit-s", "0"], "--time-limit-s takes a number of seconds"],
    ["an unknown option", [...EXAMPLE, "--whatif", "x"], "unknown option"],
    ["a change that is none", [...EXAMPLE, "--what-if", "prise:x=1"], "did you mean price:?"],
  ])("%s", async (_name, args, expected) => {
    const { status, stdout, stderr } = await plan(args);
    expect(status).toBe(2);
    expect(stdout).toBe("");
    expect(stderr).toContain(expected);
  });

  it("wrong offers, demand, policies, fleets and quotas, each with its place", async () => {
    const files = {
      "--offers": ["bad.csv", readFileSync(OFFERS, "utf8").replace("55.04", "-55.04"), "line 3"],
      "--demand": ["bad.json", '{"classes": [],\n "scenarios": []}', "line 2, column 15"],
      "--policy": ["bad.yaml", "optimizer:\n  solvr: highs\n", "line 2, column 3"],
      "--fleet": ["bad-fleet.json", '[{"offerId":"x","count":1}]', "line 1, column 13"],
      "--quotas": ["bad-quotas.json", '{"x": -1}', "line 1, column 7"],
    } as const;
    for (const [flag, [name, text, expected]] of Object.entries(files)) {
      const { status, stderr } = await plan([...EXAMPLE, flag, written(name, text)]);
      expect(status, flag).toBe(2);
      expect(stderr).toContain(`${name}, ${expected}`);
      expect(stderr.trim().split("\n"), flag).toHaveLength(1);
    }
  });
});

test("ctrl-C ends it at once with 130, also while it waits for standard input", async () => {
  const args = [PROGRAM, "plan", "--offers", OFFERS, "--demand", "-", "--json"];
  const child = spawn(process.execPath, args, { stdio: ["pipe", "pipe", "pipe"] });
  const stderr = textOf(child.stderr);
  const ended = once(child, "close");
  // It reads the demand after the offers: once the pipe takes no more, it has begun to read.
  child.stdin.write(" ".repeat(1_000_000), () => child.kill("SIGINT"));
  await ended;
  expect(child.exitCode).toBe(130);
  expect(await stderr).toContain("interrupted before there was a plan");
});

const hasCatalog = existsSync(CATALOG);
if (!hasCatalog) console.warn(`SKIPPED: the public price list is not at ${CATALOG}`);
test.skipIf(!hasCatalog)(
  `the whole public price list is planned with (skipped without ${CATALOG})`,
  async () => {
    const document = await planned(["--offers", CATALOG, "--demand", DEMAND, "--policy", POLICY]);
    expect(document.offerRows.read).toBe(3_791);
    const reasons = document.offerRows.passedOver.map(({ reason }) => reason);
    expect(reasons).toEqual(["a GPU type without a name here", "a slice of a GPU (vGPU)"]);
    expect(document.offersConsidered).toBeGreaterThan(5_000);
    expect(document.unmet).toEqual([]);
  },
);
