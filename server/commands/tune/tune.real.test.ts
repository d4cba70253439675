import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text as textOf } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, it } from "vitest";
import { parsePolicy } from "../../policy/parse-policy.ts";
import type { TuneDocument } from "./tune-document.ts";

const PROGRAM = fileURLToPath(new URL("../../../sdk/bin/flotilla.mjs", import.meta.url));
const DEMAND = `hours: 6
stepSeconds: 60
functions:
  - id: chat
    demand: { meanPerSecond: 0.5, noise: { sigma: 0.4, correlationMinutes: 30 } }
`;
const WORLD = ["--trace", "demand.yaml", "--format", "synthetic", "--control-s", "60"] as const;
const SEARCH = [...WORLD, "--budget-runs", "14", "--seeds", "1", "--jobs", "2", "--state", "kept"];

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "flotilla-tune-"));
  writeFileSync(join(folder, "demand.yaml"), DEMAND);
});
afterAll(() => rmSync(folder, { recursive: true }));

function start(args: readonly string[]) {
  const child = spawn(process.execPath, [PROGRAM, ...args], { cwd: folder });
  child.stdin.end();
  const ended = Promise.all([textOf(child.stdout), once(child, "close")]);
  return { child, ended, stderr: textOf(child.stderr) };
}

async function ran(...args: readonly string[]) {
  const { child, ended, stderr } = start(args);
  const [stdout] = await ended;
  return { status: child.exitCode, stdout, stderr: await stderr };
}

function read(name: string): string {
  return readFileSync(join(folder, name), "utf8");
}

it("finds a policy on threads, keeps its flights, and finds the same from them on one", async () => {
  const first = await ran("tune", ...SEARCH, "--json", "--out", "a.yaml", "--report", "a.html");
  expect(first.stderr).toMatch(/training on hours 0–3, seed 1; held out hours 3–6, seed 2/);
  expect(first.status).toBe(0);
  const document = JSON.parse(first.stdout) as TuneDocument;
  expect(document.flights).toBeLessThanOrEqual(14);
  expect(document.candidates[0]?.name).toBe("base policy");
  expect(parsePolicy(read("a.yaml"), "a.yaml").raw).toEqual(document.policy);
  expect(read("a.html")).toContain("Cost against waiting");
  const kept = readdirSync(join(folder, "kept", "runs")).length;
  const again = await ran("tune", ...SEARCH, "--json", "--out", "b.yaml", "--jobs", "1");
  expect(JSON.parse(again.stdout)).toEqual({ ...document, policyFile: "b.yaml" });
  expect(readdirSync(join(folder, "kept", "runs"))).toHaveLength(kept);
});

it("stops on ctrl-C with what it has, and says how to go on", async () => {
  const { child, ended, stderr } = start([
    "tune",
    ...WORLD,
    "--budget-runs",
    "9000",
    "--state",
    "s",
  ]);
  await once(child.stderr, "data");
  child.kill("SIGINT");
  await ended;
  expect(child.exitCode).toBe(130);
  expect(await stderr).toMatch(/interrupted after \d+ flights[\s\S]*the same command goes on/);
  expect(existsSync(join(folder, "tuned-policy.yaml"))).toBe(false);
});

it.each([
  [["--objective", "cost +"], /the objective "cost \+", column 7/],
  [["--params", "churnUds=0..1"], /did you mean optimizer\.churnUsd\?/],
  [["--params", "buffers.quantileMax=0..2"], /a number from 0 to 1/],
  [["--budget-runs", "2"], /2 flights are not enough/],
  [["--train-share", "0.999"], /held out; take more hours/],
  [["--out", "nowhere/p.yaml"], /--out nowhere\/p\.yaml cannot be written/],
])("ends with 2 for %s", async (args, expected) => {
  const { status, stderr, stdout } = await ran("tune", ...WORLD, ...args);
  expect(stderr).toMatch(expected);
  expect([status, stdout]).toEqual([2, ""]);
});
