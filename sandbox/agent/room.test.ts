import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { refusalOf } from "./room.ts";

const TOTAL = { gpuCount: 2, cpuMilli: 4_000, memoryMiB: 8_192 };
const NOTHING = { gpuCount: 0, cpuMilli: 0, memoryMiB: 0 };

const gpus = (gpuCount: number) => ({ ...NOTHING, gpuCount });

describe("cores and memory", () => {
  test("a node takes what fills it exactly, and nothing more", () => {
    expect(refusalOf(TOTAL, [], TOTAL)).toBeUndefined();
    expect(refusalOf(NOTHING, [TOTAL], TOTAL)).toBeUndefined();
  });

  test.each(["cpuMilli", "memoryMiB"] as const)("a node without enough %s says so", (resource) => {
    const half = { ...NOTHING, [resource]: TOTAL[resource] / 2 };
    const more = { ...NOTHING, [resource]: TOTAL[resource] / 2 + 1 };
    expect(refusalOf(half, [half], TOTAL)).toBeUndefined();
    expect(refusalOf(more, [half], TOTAL)).toBe(
      `${resource}: ${more[resource]} wanted, ${half[resource]} of ${TOTAL[resource]} free`,
    );
  });
});

describe("GPUs", () => {
  test("three thirds and ten tenths fill a card", () => {
    const one = { ...TOTAL, gpuCount: 1 };
    const third = gpus(1 / 3);
    expect(refusalOf(third, [third, third], one)).toBeUndefined();
    expect(refusalOf(third, [third, third, third], one)).toMatch(/^gpuCount/);
    const tenths = Array.from({ length: 9 }, () => gpus(0.1));
    expect(refusalOf(gpus(0.1), tenths, one)).toBeUndefined();
    expect(refusalOf(gpus(0.2), tenths, one)).toMatch(/^gpuCount/);
  });

  test("a share must fit on one card, however much is free in all", () => {
    expect(refusalOf(gpus(0.8), [gpus(0.6), gpus(0.6)], TOTAL)).toBe(
      "gpuCount: 0.8 wanted, 0 of 2 unused and no shared one has enough left",
    );
    expect(refusalOf(gpus(0.4), [gpus(0.6), gpus(0.6)], TOTAL)).toBeUndefined();
  });

  test("whole cards are shared with nobody", () => {
    expect(refusalOf(gpus(1), [gpus(0.1)], TOTAL)).toBeUndefined();
    expect(refusalOf(gpus(2), [gpus(0.1)], TOTAL)).toMatch(/2 wanted, 1 of 2 unused/);
    expect(refusalOf(gpus(0.1), [gpus(2)], TOTAL)).toMatch(/^gpuCount/);
  });

  test("a node without GPUs takes containers that want none, and no others", () => {
    const bare = { ...TOTAL, gpuCount: 0 };
    expect(refusalOf(gpus(0), [], bare)).toBeUndefined();
    expect(refusalOf(gpus(0.1), [], bare)).toMatch(/0 of 0 unused/);
  });

  test("whatever is taken one after the other never exceeds the cards, nor any shared card", () => {
    const wish = fc.constantFrom(0.1, 0.25, 1 / 3, 0.5, 0.6, 0.75, 1, 2);
    fc.assert(
      fc.property(fc.array(wish, { maxLength: 12 }), (wishes) => {
        const held: {
          readonly gpuCount: number;
          readonly cpuMilli: number;
          readonly memoryMiB: number;
        }[] = [];
        for (const gpuCount of wishes) {
          if (refusalOf(gpus(gpuCount), held, TOTAL) === undefined) held.push(gpus(gpuCount));
        }
        const whole = held.filter(({ gpuCount }) => gpuCount >= 1);
        const shares = held.filter(({ gpuCount }) => gpuCount < 1).map(({ gpuCount }) => gpuCount);
        const cards = TOTAL.gpuCount - whole.reduce((sum, { gpuCount }) => sum + gpuCount, 0);
        expect(
          packs(
            shares,
            Array.from({ length: cards }, () => 1),
          ),
        ).toBe(true);
      }),
    );
  });
});

/** Whether shares can be laid on cards, by trying every way. */
function packs(shares: readonly number[], cards: readonly number[]): boolean {
  const [share, ...others] = shares;
  if (share === undefined) return true;
  return cards.some(
    (room, at) => room + 1e-5 >= share && packs(others, cards.with(at, room - share)),
  );
}
