import { expect, test } from "vitest";
import { stagesOf } from "./start-stages.ts";

test("the parts of a start are together the start", () => {
  expect(stagesOf(500, 100, false, { loadMs: 40, enterMs: 10 })).toEqual({
    imageMs: 100,
    bootMs: 350,
    initMs: 50,
  });
});

test("what was loaded before a restore is none of its time", () => {
  expect(stagesOf(500, 0, true, { loadMs: 4_000, enterMs: 10 })).toEqual({
    imageMs: 0,
    bootMs: 490,
    initMs: 10,
  });
});

test("a runner that claims more than there was gets what there was", () => {
  expect(stagesOf(500, 400, false, { loadMs: 1e12 })).toEqual({
    imageMs: 400,
    bootMs: 0,
    initMs: 100,
  });
  expect(stagesOf(0, 0, false, {})).toEqual({ imageMs: 0, bootMs: 0, initMs: 0 });
});
