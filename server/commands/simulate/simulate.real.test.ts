import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text as textOf } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";

const pathOf = (relative: string): string =>
  fileURLToPath(new URL(`../../../${relative}`, import.meta.url));
const PROGRAM = pathOf("sdk/bin/flotilla.mjs");
const SCENARIOS = pathOf("examples/scenarios");
const BATCH = join(SCENARIOS, "steady-batch.yaml");
const DATA = pathOf("../shared/data");

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "flotilla-simulate-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

interface Ran {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

async function simulate(args: readonly string[]): Promise<Ran> {
  const child = spawn(process.execPath, [PROGRAM, "simulate", ...args], {
    cwd: folder,
    stdio: ["ignore", "pipe", "pipe"],
  });
  const [stdout, stderr] = await Promise.all([
    textOf(child.stdout),
    textOf(child.stderr),
    once(child, "close"),
  ]);
  return { status: child.exitCode, stdout, stderr };
}

interface Document {
  readonly version: number;
  readonly world: string;
  readonly seeds: readonly number[];
  readonly policies: readonly {
    readonly policy: string;
    readonly metrics: Readonly<Record<string, { readonly mean: number }>>;
  }[];
}

describe("flotilla simulate", () => {
  test("prints JSON alone on stdout, says on stderr how far it is, and writes a page", async () => {
    const args = ["--scenario", BATCH, "--hours", "1", "--baseline", "static", "--json"];
    const ran = await simulate([...args, "--seeds", "2", "--report", "page.html"]);
    expect(ran.status).toBe(0);
    const document = JSON.parse(ran.stdout) as Document;
    expect(document).toMatchObject({ version: 1, seeds: [1, 2] });
    expect(document.policies.map(({ policy }) => policy)).toEqual(["flotilla", "static"]);
    for (const { metrics } of document.policies) {
      expect(metrics["costMicroUsd"]?.mean).toBeGreaterThan(0);
      expect(metrics["costOverB60"]?.mean).toBeGreaterThan(0.5);
    }
    expect(ran.stderr).toMatch(/^• flying steady-batch, hours 0–1 \(1 hours\): flotilla, static/);
    expect(ran.stderr).toContain("• flotilla, seed 2: done in ");
    const page = readFileSync(join(folder, "page.html"), "utf8");
    expect(page).toContain("<!doctype html>");
    expect(page).toContain("steady-batch");
    expect(page).not.toContain("NaN");
  });

  test("prints a summary whose first line says what fixes the run", async () => {
    const args = ["--scenario", BATCH, "--hours", "0.5", "--baseline", "none"];
    const { status, stdout } = await simulate(args);
    expect(status).toBe(0);
    expect(stdout).toMatch(
      /^Simulation of steady-batch, hours 0–[\d.]+ · seed 1.*: a run is fixed by \(commit, scenario, seed\)\n/,
    );
    expect(stdout).toContain("Cost by policy");
  });

  test.each(readdirSync(SCENARIOS))("%s flies to its end in a short run", async (file) => {
    const args = ["--scenario", join(SCENARIOS, file), "--hours", "0.5", "--scale", "0.2"];
    const ran = await simulate([...args, "--baseline", "reactive", "--json"]);
    expect({ status: ran.status, stderr: ran.status === 0 ? "" : ran.stderr }).toEqual({
      status: 0,
      stderr: "",
    });
    const { policies } = JSON.parse(ran.stdout) as Document;
    expect(policies.map(({ policy }) => policy)).toEqual(["flotilla", "reactive"]);
  });

  test.each([
    ["a scenario that is not there", ["--scenario", "no.yaml"], "cannot read no.yaml"],
    ["an unknown baseline", ["--scenario", BATCH, "--baseline", "statick"], "did you mean static?"],
    ["an unknown option", ["--scenario", BATCH, "--sceds", "2"], "unknown option"],
    ["nothing to fly", [], "needs a scenario or a trace"],
    ["a report in no folder", ["--scenario", BATCH, "--report", "no/page.html"], "--report"],
    ["a state that is a file", ["--scenario", BATCH, "--state", BATCH], "nothing can be kept"],
  ])("refuses %s with exit code 2 and an empty stdout", async (_name, args, expected) => {
    const { status, stdout, stderr } = await simulate(args);
    expect({ status, stdout }).toEqual({ status: 2, stdout: "" });
    expect(stderr).toContain(expected);
  });

  test("says file and line of a wrong policy and a wrong trace", async () => {
    writeFileSync(join(folder, "bad.yaml"), "optimizer:\n  solvr: highs\n");
    writeFileSync(join(folder, "bad.csv"), "time_s,function,rate_rps\n0,a,1\n600,a,-1\n");
    const policy = await simulate(["--scenario", BATCH, "--policy", "bad.yaml"]);
    expect(policy.status).toBe(2);
    expect(policy.stderr).toContain("bad.yaml, line 2, column 3: optimizer.solvr: unknown key");
    const trace = await simulate(["--trace", "bad.csv", "--format", "csv"]);
    expect(trace.status).toBe(2);
    expect(trace.stderr).toContain("bad.csv, line 3");
  });

  test("ctrl-C ends it with 130, and the next call with its state goes on from there", async () => {
    const state = join(folder, "state");
    const args = ["--scenario", BATCH, "--hours", "0.5", "--seeds", "40", "--jobs", "1"];
    const all = [...args, "--baseline", "none", "--state", state, "--json"];
    const child = spawn(process.execPath, [PROGRAM, "simulate", ...all], {
      cwd: folder,
      stdio: ["ignore", "pipe", "pipe"],
    });
    const stdout = textOf(child.stdout);
    let stderr = "";
    child.stderr.setEncoding("utf8");
    child.stderr.on("data", (text: string) => {
      stderr += text;
      if (stderr.includes("seed 2: done")) child.kill("SIGINT");
    });
    await once(child, "close");
    expect(child.exitCode).toBe(130);
    expect(await stdout).toBe("");
    expect(stderr).toMatch(
      /interrupted; \d+ runs? (is|are) kept in .*\n.*the same command goes on/,
    );

    const fewer = [...args, "--seeds", "2", "--baseline", "none", "--state", state, "--json"];
    const again = await simulate(fewer);
    expect(again.status).toBe(0);
    expect(again.stderr).toContain("2 of 2 runs were flown before");
    const fresh = await simulate([...args, "--seeds", "2", "--baseline", "none", "--json"]);
    expect(again.stdout).toBe(fresh.stdout);
  });

  test("a run that was killed in its middle goes on there, and gives what it would have", async () => {
    const state = join(folder, "killed");
    const args = ["--scenario", BATCH, "--hours", "4", "--scale", "4", "--baseline", "none"];
    const all = [...args, "--state", state, "--json"];
    const child = spawn(process.execPath, [PROGRAM, "simulate", ...all], {
      cwd: folder,
      stdio: "ignore",
    });
    const ended = once(child, "close");
    const runs = join(state, "runs");
    const isWritten = (): boolean =>
      existsSync(runs) && readdirSync(runs).some((name) => name.endsWith(".flight"));
    await vi.waitUntil(() => isWritten() || child.exitCode !== null, { timeout: 100_000 });
    child.kill("SIGKILL");
    await ended;
    expect(child.signalCode).toBe("SIGKILL");
    const again = await simulate(all);
    expect(again.status).toBe(0);
    expect(again.stderr).toMatch(/goes on from hour \d+ of 4, where it was stopped/);
    expect(readdirSync(runs).map((name) => name.replace(/^\w+/, ""))).toEqual([".json"]);
    expect(again.stdout).toBe((await simulate([...args, "--json"])).stdout);
  });

  const hasData = existsSync(join(DATA, "servegen"));
  if (!hasData) console.warn(`SKIPPED: the public traces are not at ${DATA}`);
  test.skipIf(!hasData)("flies public traces by name, with measured spot machines", async () => {
    const args = ["--data", DATA, "--trace", "servegen/m-mid", "--spot", "v100-2023"];
    const ran = await simulate([...args, "--hours", "1", "--peak-gpus", "50", "--json"]);
    expect(ran.status).toBe(0);
    const document = JSON.parse(ran.stdout) as Document;
    expect(document.world).toBe("servegen/m-mid, hours 0–1, peak 50 GPUs, spot of 9 traces");
  });
});
