import { PassThrough } from "node:stream";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { ReadPace } from "./read-pace.ts";

const BYTES_PER_SECOND = 1_000;
let stream: PassThrough;
let pace: ReadPace;

beforeEach(() => {
  vi.useFakeTimers();
  stream = new PassThrough();
  pace = new ReadPace(stream, BYTES_PER_SECOND);
  stream.resume();
});

afterEach(() => {
  vi.useRealTimers();
});

test("a stream that stays below its pace is never paused", () => {
  pace.count(250);
  expect(stream.isPaused()).toBe(false);
});

test("a stream is paused for as long as what it was too fast by takes", () => {
  pace.count(251);
  expect(stream.isPaused()).toBe(true);
  vi.advanceTimersByTime(499);
  expect(stream.isPaused()).toBe(true);
  vi.advanceTimersByTime(1);
  expect(stream.isPaused()).toBe(false);
  pace.count(250);
  expect(stream.isPaused()).toBe(false);
});

test("what comes while it is paused makes the pause no longer", () => {
  pace.count(251);
  pace.count(10_000);
  vi.advanceTimersByTime(500);
  expect(stream.isPaused()).toBe(false);
});

test("the end of a stream ends its pause, and leaves no timer", () => {
  pace.count(251);
  stream.emit("close");
  expect(stream.isPaused()).toBe(false);
  expect(vi.getTimerCount()).toBe(0);
});
