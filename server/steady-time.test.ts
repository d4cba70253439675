import { describe, expect, it } from "vitest";
import { steadyTime } from "./steady-time.ts";

function bench() {
  const at = { wall: 1_000_000, monotonic: 50 };
  const read = steadyTime({ wallMs: () => at.wall, monotonicMs: () => at.monotonic });
  const pass = (ms: number): number => {
    at.wall += ms;
    at.monotonic += ms;
    return read();
  };
  return { at, read, pass };
}

describe("steady time", () => {
  it("is the machine's clock while nobody sets it", () => {
    const { pass } = bench();
    expect([pass(0), pass(10), pass(990)]).toEqual([1_000_000, 1_000_010, 1_001_000]);
  });

  it("follows a step forward at once", () => {
    const { at, read } = bench();
    at.wall += 300_000;
    expect(read()).toBe(1_300_000);
  });

  it("goes on after a step back, at half speed until the machine's clock has caught up", () => {
    const { at, read, pass } = bench();
    at.wall -= 300_000;
    expect(read()).toBe(1_000_000);
    expect(pass(4_000)).toBe(1_002_000);
    expect(pass(596_000)).toBe(1_300_000);
    expect(pass(1_000)).toBe(1_301_000);
  });

  it("loses no fraction of a millisecond while it crawls", () => {
    const { at, read } = bench();
    at.wall -= 60_000;
    for (let step = 0; step < 1_000; step += 1) {
      at.wall += 0.25;
      at.monotonic += 0.25;
      read();
    }
    expect(read()).toBe(1_000_125);
  });
});
