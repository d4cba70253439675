import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Resources } from "../../core/index.ts";
import { roomFor, type Room } from "./room.ts";

const TOTAL = { gpuCount: 2, cpuMilli: 4_000, memoryMiB: 8_192 };
const NOTHING = { gpuCount: 0, cpuMilli: 0, memoryMiB: 0 };

const gpus = (gpuCount: number, ...cards: readonly number[]): Room => ({
  resources: { ...NOTHING, gpuCount },
  ...(cards.length === 0 ? {} : { cards }),
});

/** Takes wishes one after the other, as an agent does; gives what is held then. */
const taken = (wishes: readonly Room[], total: Resources = TOTAL): readonly Room[] => {
  const held: Room[] = [];
  for (const { resources, cards } of wishes) {
    const answer = roomFor({ resources, ...(cards && { cards }) }, held, total);
    if (answer.kind === "fits") held.push({ resources, cards: answer.cards });
  }
  return held;
};

/** The cards that a wish gets after others, or why it gets none. */
const answerOf = (wish: Room, before: readonly Room[], total: Resources = TOTAL) => {
  const held = taken(before, total);
  expect(held).toHaveLength(before.length);
  const answer = roomFor(wish, held, total);
  return answer.kind === "fits" ? answer.cards : answer.reason;
};

describe("cores and memory", () => {
  test("a node takes what fills it exactly, and nothing more", () => {
    expect(answerOf({ resources: TOTAL }, [])).toEqual([0, 1]);
    expect(answerOf({ resources: NOTHING }, [{ resources: TOTAL }])).toEqual([]);
  });

  test.each(["cpuMilli", "memoryMiB"] as const)("a node without enough %s says so", (resource) => {
    const half = { resources: { ...NOTHING, [resource]: TOTAL[resource] / 2 } };
    const more = { resources: { ...NOTHING, [resource]: TOTAL[resource] / 2 + 1 } };
    expect(answerOf(half, [half])).toEqual([]);
    expect(answerOf(more, [half])).toBe(
      `${resource}: ${more.resources[resource]} wanted, ` +
        `${half.resources[resource]} of ${TOTAL[resource]} free`,
    );
  });
});

describe("GPUs", () => {
  test("three thirds and ten tenths fill a card", () => {
    const one = { ...TOTAL, gpuCount: 1 };
    const third = gpus(1 / 3);
    expect(answerOf(third, [third, third], one)).toEqual([0]);
    expect(answerOf(third, [third, third, third], one)).toMatch(/^gpuCount/);
    const tenths = Array.from({ length: 9 }, () => gpus(0.1));
    expect(answerOf(gpus(0.1), tenths, one)).toEqual([0]);
    expect(answerOf(gpus(0.2), tenths, one)).toMatch(/^gpuCount/);
  });

  test("a share must fit on one card, however much is free in all", () => {
    expect(answerOf(gpus(0.8), [gpus(0.6), gpus(0.6)])).toBe(
      "gpuCount: 0.8 wanted, 0 of 2 unused and no shared one has enough left",
    );
    expect(answerOf(gpus(0.4), [gpus(0.6), gpus(0.6)])).toEqual([0]);
  });

  test("whole cards are shared with nobody", () => {
    expect(answerOf(gpus(1), [gpus(0.1)])).toEqual([1]);
    expect(answerOf(gpus(2), [gpus(0.1)])).toMatch(/2 wanted, 1 of 2 unused/);
    expect(answerOf(gpus(0.1), [gpus(2)])).toMatch(/^gpuCount/);
  });

  test("a node without GPUs takes containers that want none, and no others", () => {
    const bare = { ...TOTAL, gpuCount: 0 };
    expect(answerOf(gpus(0), [], bare)).toEqual([]);
    expect(answerOf(gpus(0.1), [], bare)).toMatch(/0 of 0 unused/);
  });

  test("the cards that the server names are taken, or refused when they cannot be had", () => {
    expect(answerOf(gpus(1, 1), [])).toEqual([1]);
    expect(answerOf(gpus(2, 1, 0), [])).toEqual([1, 0]);
    expect(answerOf(gpus(0.5, 1), [gpus(0.5, 1)])).toEqual([1]);
    const refusals: readonly [Room, readonly Room[], RegExp][] = [
      [gpus(1, 1), [gpus(1, 1)], /^cards: 1 of card 1 wanted, 0 free$/],
      [gpus(1, 1), [gpus(0.25, 1)], /^cards: 1 of card 1 wanted, 0\.75 free$/],
      [gpus(0.5, 1), [gpus(1, 1)], /^cards: 0\.5 of card 1 wanted, 0 free$/],
      [gpus(1, 2), [], /^cards: card 2 wanted of 2 cards$/],
      [gpus(1, -1), [], /^cards: card -1 wanted/],
      [gpus(2, 0, 0), [], /^cards: 2 GPUs wanted on cards 0, 0$/],
      [gpus(2, 0), [], /^cards: 2 GPUs wanted on cards 0$/],
      [{ ...gpus(1), cards: [] }, [], /^cards: 1 GPUs wanted on cards none$/],
    ];
    for (const [wish, before, reason] of refusals) expect(answerOf(wish, before)).toMatch(reason);
  });

  test("whatever is taken one after the other never exceeds any card", () => {
    const size = fc.constantFrom(0.1, 0.25, 1 / 3, 0.5, 0.6, 0.75, 1, 2);
    const named = fc.option(fc.uniqueArray(fc.integer({ min: -1, max: 3 }), { maxLength: 3 }));
    fc.assert(
      fc.property(fc.array(fc.tuple(size, named), { maxLength: 12 }), (wishes) => {
        const held = taken(
          wishes.map(([gpuCount, cards]) => ({
            ...gpus(gpuCount),
            ...(cards === null ? {} : { cards }),
          })),
        );
        const used = [0, 0];
        for (const { resources, cards = [] } of held) {
          expect(cards).toHaveLength(Math.ceil(resources.gpuCount));
          expect(new Set(cards).size).toBe(cards.length);
          for (const card of cards) {
            used[card] = (used[card] ?? Number.NaN) + Math.min(1, resources.gpuCount);
          }
        }
        for (const part of used) expect(part).toBeLessThanOrEqual(1 + 1e-5);
      }),
    );
  });
});
