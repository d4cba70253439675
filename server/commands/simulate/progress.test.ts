import { expect, test } from "vitest";
import type { SimulationResult } from "../../../simulations/index.ts";
import type { CrewTask } from "./crew.ts";
import { ProgressShow, type ProgressScreen } from "./progress.ts";

const TASK: CrewTask = { spec: { scenario: "s.yaml" }, order: { policyName: "static", seed: 3 } };
const HOUR_MS = 3_600_000;
const HALF = { nowMs: HOUR_MS, untilMs: 2 * HOUR_MS, inputs: 12_345, nodes: 7, begunAtMs: 0 };

/** A screen of lines, where moves of the cursor do what a terminal does. */
function screenOf(isLive: boolean): ProgressScreen & { lines: () => readonly string[] } {
  let lines: string[] = [];
  const write = (text: string): void => {
    // eslint-disable-next-line no-control-regex -- the sequences are what is tested
    const up = /^\u001b\[(\d+)A\r\u001b\[J$/.exec(text);
    if (up === null) lines.push(text.replace(/\n$/, ""));
    else lines = lines.slice(0, lines.length - Number(up[1]));
  };
  return { isLive, widthColumns: 80, write, lines: () => lines };
}

function show(isLive: boolean) {
  const screen = screenOf(isLive);
  const clock = { nowMs: 0 };
  const progress = new ProgressShow(2, screen, () => clock.nowMs);
  progress.start(TASK);
  return { screen, clock, progress };
}

const DONE = { inputs: 24_000 } as SimulationResult;

test("a terminal shows each run in one line that is redrawn, and keeps those that are done", () => {
  const { screen, clock, progress } = show(true);
  clock.nowMs = 5_000;
  progress.progress(TASK, HALF);
  clock.nowMs = 5_100;
  progress.progress(TASK, { ...HALF, nodes: 8 });
  expect(screen.lines()).toEqual(
    ["  static, seed 3: ██████░░░░░░ 50 %, hour 1 of 2, 12,345 inputs, 7 nodes, 5 s left"].map(
      (line) => line.slice(0, 79),
    ),
  );
  clock.nowMs = 6_000;
  progress.progress(TASK, { ...HALF, nodes: 9 });
  expect(screen.lines()).toHaveLength(1);
  expect(screen.lines()[0]).toContain("9 nodes");
  expect(screen.lines()[0]?.length).toBeLessThan(80);
  progress.done(TASK, DONE);
  progress.close();
  expect(screen.lines()).toEqual(["• static, seed 3: done in 6 s, 24,000 inputs (1 of 2)"]);
});

test("a log gets a plain line every ten seconds, and nothing that moves a cursor", () => {
  const { screen, clock, progress } = show(false);
  for (clock.nowMs = 0; clock.nowMs < 25_000; clock.nowMs += 1_000) progress.progress(TASK, HALF);
  progress.done(TASK, DONE);
  progress.close();
  expect(screen.lines()).toEqual([
    "  static, seed 3: 50 %, hour 1 of 2, 12,345 inputs, 7 nodes, 10 s left",
    "  static, seed 3: 50 %, hour 1 of 2, 12,345 inputs, 7 nodes, 20 s left",
    "• static, seed 3: done in 25 s, 24,000 inputs (1 of 2)",
  ]);
});

test("a run that had been stopped says where it goes on, and counts its own time only", () => {
  const { screen, clock, progress } = show(false);
  const begunAtMs = HOUR_MS / 2;
  clock.nowMs = 1_000;
  progress.progress(TASK, { ...HALF, nowMs: begunAtMs, begunAtMs });
  clock.nowMs = 12_000;
  progress.progress(TASK, { ...HALF, begunAtMs });
  expect(screen.lines()).toEqual([
    "• static, seed 3: goes on from hour 0 of 2, where it was stopped",
    "  static, seed 3: 50 %, hour 1 of 2, 12,345 inputs, 7 nodes, 24 s left",
  ]);
});
