import { describe, expect, test } from "vitest";
import { impossibility, quotaRefusal, quotaWarnings, spendingRefusal } from "./quotas.ts";

const USE = { containers: 3, gpuMilli: 3_500, monthMicroUsd: 9_000_000 };

describe("one more container", () => {
  test.each([
    ["without quotas is taken", {}, 8_000, undefined],
    ["up to the limit is taken", { containersMax: 4, gpusMax: 4.5 }, 1_000, undefined],
    ["beyond the containers is refused", { containersMax: 3 }, 0, "3 of the 3 containers"],
    ["beyond the GPUs is refused", { gpusMax: 4 }, 501, "3.5 of the 4 GPUs"],
    ["without GPUs is taken when those are used up", { gpusMax: 0 }, 0, undefined],
    [
      "of a month that is used up is refused",
      { microUsdPerMonthMax: 9_000_000 },
      0,
      "$9.00 of the $9.00",
    ],
    [
      "of a month with a micro-dollar left is taken",
      { microUsdPerMonthMax: 9_000_001 },
      0,
      undefined,
    ],
    [
      "within the free credit is taken",
      { microUsdPerMonthMax: 0, freeMicroUsdPerMonth: 9_000_001 },
      0,
      undefined,
    ],
    ["of a free credit alone has no other limit", { freeMicroUsdPerMonth: 1 }, 0, undefined],
  ])("%s", (_name, quotas, gpuMilli, reason) => {
    const refusal = quotaRefusal(quotas, USE, gpuMilli);
    if (reason === undefined) expect(refusal).toBeUndefined();
    else expect(refusal).toContain(reason);
  });
});

test("what can never start is told apart from what must wait", () => {
  expect(impossibility({ gpusMax: 4 }, 4_000)).toBeUndefined();
  expect(impossibility({ gpusMax: 4 }, 4_001)).toContain("no container of it can ever start");
  expect(impossibility({ containersMax: 0 }, 0)).toContain("no container of it can ever start");
  expect(impossibility({ microUsdPerMonthMax: 0 }, 0)).toBeUndefined();
  expect(spendingRefusal({ microUsdPerMonthMax: 0 }, { monthMicroUsd: 0 })).toContain("next month");
});

test("warnings begin at four fifths of a limit", () => {
  const quotas = {
    containersMax: 10,
    gpusMax: 10,
    microUsdPerMonthMax: 7,
    freeMicroUsdPerMonth: 3,
  };
  const at = (part: number) =>
    quotaWarnings(quotas, { containers: part, gpuMilli: part * 1_000, monthMicroUsd: part }).length;
  expect([at(7), at(8), at(10)]).toEqual([0, 3, 3]);
  expect(quotaWarnings({}, USE)).toEqual([]);
});
