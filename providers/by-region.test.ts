import { expect, it } from "vitest";
import { PlatformError } from "../core/index.ts";
import { askEachRegion, REGION_DEADLINE_MS } from "./by-region.ts";
import { createManualClock } from "./fake/index.ts";

const down = () =>
  new PlatformError("the region refuses", { code: "unavailable", retryable: true });
const never = () => new Promise<string>(() => undefined);

it("S28: a region that never answers delays the others by the deadline and no longer", async () => {
  const clock = createManualClock(0);
  const asked = askEachRegion(["a", "b"], (one) => (one === "a" ? never() : okay(one)), clock);
  const seen: unknown[] = [];
  void asked.then((answer) => seen.push(answer));
  await clock.advance(REGION_DEADLINE_MS - 1);
  expect(seen).toEqual([]);
  await clock.advance(1);
  const { answers, unseen } = await asked;
  expect(answers).toEqual([{ region: "b", answer: "b" }]);
  expect(unseen).toMatchObject([{ region: "a" }]);
  expect(unseen[0]?.reason).toContain("a did not answer within 10000 ms");
});

it("throws when no region answers, and what is a bug whatever the others say", async () => {
  const clock = createManualClock(0);
  const failing = askEachRegion(["a", "b"], () => Promise.reject(down()), clock);
  await expect(failing).rejects.toMatchObject({ code: "unavailable" });
  const broken = askEachRegion(
    ["a", "b"],
    (one) => (one === "a" ? okay(one) : Promise.reject(new TypeError("a bug"))),
    clock,
  );
  await expect(broken).rejects.toThrow(TypeError);
});

function okay(region: string): Promise<string> {
  return Promise.resolve(region);
}
