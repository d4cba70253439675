import {
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { flyOne, type FlightOrder, type RunSpec } from "../../../simulations/index.ts";
import { checkpointTo, readCheckpoint } from "./checkpoint.ts";
import { SCENARIO } from "./test-scenario.ts";

const ORDER: FlightOrder = { policyName: "flotilla", seed: 3 };

let folder = "";
let spec: RunSpec;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "flotilla-checkpoint-"));
  const scenario = join(folder, "small.yaml");
  writeFileSync(scenario, SCENARIO);
  spec = { scenario };
});
afterAll(() => rmSync(folder, { recursive: true }));

/** Flies with a checkpoint every third time it is asked, and gives up after so many of them. */
async function flyUntil(file: string, checkpoints: number): Promise<void> {
  const from = readCheckpoint(file);
  const giveUp = new AbortController();
  const clock = { nowMs: 0 };
  const ask = checkpointTo(file, () => clock.nowMs, 3);
  let left = checkpoints;
  const flying = flyOne(spec, {
    ...ORDER,
    ...(from === undefined ? {} : { from }),
    signal: giveUp.signal,
    checkpoint: () => {
      clock.nowMs += 1;
      const write = ask();
      if (write === undefined) return undefined;
      return (state) => {
        write(state);
        left -= 1;
        if (left === 0) giveUp.abort(new Error("stopped"));
      };
    },
  });
  await expect(flying).rejects.toThrow("stopped");
}

test("a run that was stopped twice goes on from its file and ends as if it never had been", async () => {
  const file = join(folder, "run.flight");
  expect(readCheckpoint(file)).toBeUndefined();
  await flyUntil(file, 10);
  const first = readCheckpoint(file)?.ticks ?? 0;
  expect(first).toBeGreaterThan(20);
  await flyUntil(file, 20);
  const from = readCheckpoint(file);
  expect(from?.ticks).toBeGreaterThan(first + 40);
  if (from === undefined) throw new Error("nothing was written");
  const begun: number[] = [];
  const onProgress = ({ begunAtMs }: { readonly begunAtMs: number }): void => {
    begun.push(begunAtMs);
  };
  const { ticks } = from;
  const result = await flyOne(spec, { ...ORDER, from, onProgress });
  expect(JSON.stringify(result)).toBe(JSON.stringify(await flyOne(spec, ORDER)));
  expect(new Set(begun)).toEqual(new Set([ticks * 10_000]));
});

test("nothing is left of a file that is being written, and of one cut short nothing is taken", async () => {
  const file = join(folder, "short.flight");
  await flyUntil(file, 1);
  expect(existsSync(`${file}.part`)).toBe(false);
  truncateSync(file, Math.floor(readFileSync(file).length / 2));
  expect(readCheckpoint(file)).toBeUndefined();
  writeFileSync(file, "");
  expect(readCheckpoint(file)).toBeUndefined();
});

test("a file that cannot be read is an error with its name", () => {
  expect(() => readCheckpoint(folder)).toThrow(`cannot read where a run was from ${folder}`);
});
