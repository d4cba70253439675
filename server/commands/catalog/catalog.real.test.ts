import { execFile } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { startTestLists, type TestLists } from "../../prices/test-lists.ts";

const BIN = join(import.meta.dirname, "../../../sdk/bin/flotilla.mjs");

let dir = "";
let lists: TestLists;
beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), "flotilla-catalog-"));
  lists = await startTestLists();
});
afterEach(async () => {
  await lists.close();
  rmSync(dir, { recursive: true, force: true });
});

interface Run {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the command as a user does; waits for its end, not for a time. */
function flotilla(...args: readonly string[]): Promise<Run> {
  const env = {
    PATH: process.env["PATH"],
    HOME: dir,
    FLOTILLA_DATA_DIR: join(dir, "data"),
    FLOTILLA_AWS_PRICE_URL: lists.url,
    FLOTILLA_AWS_SPOT_URL: `${lists.url}/advisor.json`,
  };
  return new Promise((resolve) => {
    execFile(process.execPath, [BIN, ...args], { env, cwd: dir }, (error, stdout, stderr) => {
      const code = error === null ? 0 : Number(error.code);
      resolve({ code, stdout, stderr });
    });
  });
}

const refresh = ["catalog", "refresh", "--cloud", "aws", "--region", "eu-west-1"] as const;

test("prices that were read are in force from then on, and named as read", async () => {
  const dry = await flotilla(...refresh, "--dry-run");
  expect(dry).toMatchObject({ code: 0 });
  expect(dry.stdout).toContain("this was a dry run");
  expect(existsSync(join(dir, "data", "prices.json"))).toBe(false);

  const real = await flotilla(...refresh);
  expect(real).toMatchObject({ code: 0 });
  expect(real.stderr).toContain("reading the EC2 price list of eu-west-1");
  expect(real.stdout).toContain("✔ aws eu-west-1: 3 prices");

  const list = await flotilla("catalog", "list", "--cloud", "aws", "--region", "eu-west-1");
  expect(list.stdout).toMatch(/m7i\.4xlarge +on-demand .*0\.8500 +read 0 h ago/);
  const show = await flotilla("catalog", "show", "g6.xlarge", "--region", "eu-west-1", "--json");
  const { offers } = JSON.parse(show.stdout) as { readonly offers: readonly unknown[] };
  expect(offers).toMatchObject([
    { inForce: { priceMicroUsdPerHour: 900_000 }, seen: [] },
    { inForce: { priceMicroUsdPerHour: 450_000, purchase: "spot" }, seen: [] },
  ]);
});

test("a part that cannot be read costs the exit code, and nothing of the rest", async () => {
  lists.down.add("eu-west-2");
  const run = await flotilla(...refresh, "--region", "eu-west-2", "--json", "--out", "own.json");
  expect(run.code).toBe(1);
  expect(JSON.parse(run.stdout)).toMatchObject({
    path: join(dir, "own.json"),
    regions: [{ region: "eu-west-1", priceCount: 3 }],
    kept: [{ what: "aws eu-west-2" }],
  });
  expect(existsSync(join(dir, "own.json"))).toBe(true);
});

test("nothing is written when nothing can be read, and exit code 6 says so", async () => {
  lists.down.add("eu-west-1");
  const run = await flotilla(...refresh);
  expect(run.code).toBe(6);
  expect(run.stdout).toContain("its last prices stay in force");
  expect(existsSync(join(dir, "data", "prices.json"))).toBe(false);
});
