import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { FakeClock } from "../fake/clock.ts";
import { ContainerLog, LINE_CHARACTERS_MAX, type LogLine } from "./container-log.ts";
import { DEFAULT_LOG_LIMITS } from "./log-limiter.ts";

let clock: FakeClock;
let handfuls: (readonly LogLine[])[];
let log: ContainerLog;

beforeEach(() => {
  vi.useFakeTimers();
  clock = new FakeClock();
  handfuls = [];
  log = new ContainerLog(clock, (lines) => handfuls.push(lines));
});

afterEach(() => {
  vi.useRealTimers();
});

const print = (...texts: readonly string[]): void => {
  log.add(texts.map((text) => ({ stream: "stdout", text })));
};

const pass = (durationMs: number): void => {
  clock.now += durationMs;
  vi.advanceTimersByTime(durationMs);
};

const texts = (): readonly (readonly string[])[] =>
  handfuls.map((lines) => lines.map(({ text }) => text));

test("the first line leaves at once, and those that come close after it as one handful", () => {
  print("a");
  expect(texts()).toEqual([["a"]]);
  print("b");
  print("c", "d");
  expect(texts()).toHaveLength(1);
  pass(10);
  expect(texts()).toEqual([["a"], ["b", "c", "d"]]);
  pass(60_000);
  print("e");
  expect(texts()).toEqual([["a"], ["b", "c", "d"], ["e"]]);
});

test("lines are numbered from 1 without gaps, and keep their stream and input", () => {
  log.add([{ stream: "stderr", text: "a", inputId: "in_1" }]);
  print("b");
  log.end();
  expect(handfuls.flat()).toEqual([
    { stream: "stderr", text: "a", inputId: "in_1", sequence: 1 },
    { stream: "stdout", text: "b", sequence: 2 },
  ]);
});

test("a line that is too long is cut", () => {
  print("x".repeat(LINE_CHARACTERS_MAX + 1));
  expect(handfuls.flat()[0]?.text).toHaveLength(LINE_CHARACTERS_MAX);
});

test("a flood is cut to its burst, told once a second, and has no gap in its numbers", () => {
  const line = "x".repeat(1023);
  for (let mebibyte = 0; mebibyte < 3; mebibyte += 1) {
    print(...Array.from({ length: 1024 }, () => line));
  }
  pass(5_000);
  const lines = handfuls.flat();
  const markers = lines.filter(({ text }) => text.startsWith("[flotilla]"));
  expect(lines.length - markers.length).toBe(DEFAULT_LOG_LIMITS.burstBytes / 1024);
  expect(markers).toMatchObject([{ stream: "stderr" }, { stream: "stderr" }]);
  expect(lines.map(({ sequence }) => sequence)).toEqual(lines.map((_, position) => position + 1));
});

test("the limit counts bytes, not characters", () => {
  const line = "€".repeat(1024);
  for (let count = 0; count < 1024; count += 1) print(line);
  log.end();
  const passed = handfuls.flat().filter(({ text }) => text === line);
  expect(passed).toHaveLength(Math.floor(DEFAULT_LOG_LIMITS.burstBytes / (3 * 1024 + 1)));
});

test("what the runner dropped is told even when nothing else comes", () => {
  print("a");
  log.add([], 2 * 1024 * 1024);
  log.add([], 1024 * 1024);
  pass(10);
  pass(1_000);
  const told = handfuls.flat().map(({ text }) => text);
  expect(told).toHaveLength(3);
  expect(told[1]).toMatch(/2\.0 MiB of output dropped/);
  expect(told[2]).toMatch(/1\.0 MiB of output dropped/);
});

test("the end sends what is left, with a last word about what was dropped, and no more", () => {
  print("a");
  print("b");
  log.add([], 5_000);
  log.add([], 5_000);
  log.end();
  const told = handfuls.flat().map(({ text }) => text);
  expect(told.slice(0, 2)).toEqual(["a", "b"]);
  expect(told.slice(2).every((text) => text.includes("dropped"))).toBe(true);
  pass(60_000);
  expect(handfuls.flat()).toHaveLength(told.length);
});
