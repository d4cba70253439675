import fc from "fast-check";
import { expect, it } from "vitest";
import { MS_PER_HOUR, MS_PER_MINUTE } from "../../core/index.ts";
import { worldWithin } from "../runs/span.ts";
import { durationMsOf, type DemandTrace } from "../traces/trace.ts";
import { testWorld } from "../engine/test-world.ts";
import { searchWindows } from "./windows.ts";

function trace(rates: readonly number[], stepsPerWindow = 1): DemandTrace {
  const stepMs = (10 * MS_PER_MINUTE) / stepsPerWindow;
  return {
    name: "made up",
    source: "made up",
    stepMs,
    windowMs: 10 * MS_PER_MINUTE,
    series: [{ functionId: "chat", perSecond: Float64Array.from(rates) }],
    imputed: new Uint8Array(rates.length / stepsPerWindow),
  };
}

const day = trace(
  Array.from({ length: 288 }, (_, at) => 10 + 5 * Math.sin((2 * Math.PI * at) / 144)),
);

it("shares neither a window nor a seed between training and the held-out stretch", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 2, max: 300 }),
      fc.double({ min: 0.05, max: 0.95, noNaN: true }),
      fc.integer({ min: 1, max: 5 }),
      (count, trainFraction, seedCount) => {
        fc.pre(Math.round(count * trainFraction) >= 1 && Math.round(count * trainFraction) < count);
        const of = trace(Array.from({ length: count }, (_, at) => at));
        const { train, heldOut, rungs } = searchWindows(of, { trainFraction, seedCount });
        for (const { span, seeds } of rungs) {
          expect(span.fromMs).toBeGreaterThanOrEqual(0);
          expect(span.untilMs).toBeLessThanOrEqual(heldOut.span.fromMs);
          expect(span.untilMs).toBeGreaterThan(span.fromMs);
          expect(seeds.some((seed) => heldOut.seeds.includes(seed))).toBe(false);
        }
        expect(rungs.at(-1)).toEqual(train);
        expect(heldOut.span.untilMs).toBe(durationMsOf(of));
        expect([train.seeds.length, heldOut.seeds.length]).toEqual([seedCount, seedCount]);
      },
    ),
  );
});

it("flies different windows in both: no arrival of one is in the other", () => {
  const world = testWorld({ hours: 4 });
  const numbered = {
    ...world,
    trace: {
      ...world.trace,
      series: world.trace.series.map((one) => ({
        ...one,
        perSecond: one.perSecond.map((_, step) => step),
      })),
    },
  };
  const { train, heldOut } = searchWindows(numbered.trace, { trainFraction: 0.5, seedCount: 1 });
  const [seen, unseen] = [train, heldOut].map(
    ({ span }) => new Set(worldWithin(numbered, span).trace.series[0]?.perSecond),
  );
  expect([...(seen ?? [])].filter((rate) => unseen?.has(rate))).toEqual([]);
  expect((seen?.size ?? 0) + (unseen?.size ?? 0)).toBe(numbered.trace.series[0]?.perSecond.length);
});

it("has as many rungs as there is time for, each three times as long as the one before", () => {
  const lengths = (of: DemandTrace, rungCount?: number): readonly number[] =>
    searchWindows(of, {
      trainFraction: 0.5,
      seedCount: 2,
      ...(rungCount === undefined ? {} : { rungCount }),
    }).rungs.map(({ span }) => (span.untilMs - span.fromMs) / MS_PER_HOUR);
  expect(lengths(day)).toEqual([2.6666666666666665, 8, 24]);
  expect(lengths(day, 1)).toEqual([24]);
  expect(lengths(trace(Array<number>(60).fill(1)))).toEqual([5]);
  expect(lengths(trace(Array<number>(90).fill(1)))).toEqual([2.5, 7.5]);
});

it("flies one seed on the cheaper rungs, and all of them on the last", () => {
  const { rungs } = searchWindows(day, { trainFraction: 0.5, seedCount: 3 });
  expect(rungs.map(({ seeds }) => seeds)).toEqual([[1], [1], [1, 2, 3]]);
});

it("takes for a cheap rung the part whose demand is most like the whole", () => {
  // Quiet, then a part with both levels, then loud.
  const rates = [...Array<number>(60).fill(1), ...Array<number>(12).fill(1)];
  rates.push(...Array<number>(12).fill(9), ...Array<number>(60).fill(9));
  const { rungs } = searchWindows(trace([...rates, ...rates]), {
    trainFraction: 0.5,
    seedCount: 1,
  });
  const { fromMs, untilMs } = rungs[0]!.span;
  const middle = (fromMs + untilMs) / 2 / (10 * MS_PER_MINUTE);
  expect(middle).toBe(72);
});

it("counts windows, not steps", () => {
  const fine = trace(Array<number>(288 * 60).fill(1), 60);
  expect(searchWindows(fine, { trainFraction: 0.5, seedCount: 1 }).train.span.untilMs).toBe(
    24 * MS_PER_HOUR,
  );
});

it("says why a trace cannot be parted", () => {
  const part = (count: number, trainFraction: number) => () =>
    searchWindows(trace(Array<number>(count).fill(1)), { trainFraction, seedCount: 1 });
  expect(part(1, 0.5)).toThrow(/has 1 windows of 10 minutes.*take more hours/);
  expect(part(4, 0.99)).toThrow(/0 held out/);
  expect(part(4, 0.01)).toThrow(/0 are learnt on/);
});
