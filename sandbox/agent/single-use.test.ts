import { expect, test } from "vitest";
import { TestContainer } from "./test-container.ts";

test("one of single use runs its first input alone, and ends with its result", async () => {
  const one = new TestContainer(undefined, { singleUse: true });
  await one.startWith("a");
  one.container.push([{ inputId: "b", bytes: 1 }], Uint8Array.of(1));
  const told = one.sandbox.told.filter(({ header }) => header.type === "inputs");
  expect(told).toHaveLength(1);
  expect(one.sandbox.kills).toBe(0);
  await one.answer("a");
  await one.running;
  expect(one.reported.results.map(({ inputId }) => inputId)).toEqual(["a"]);
  expect(one.reported.exits).toMatchObject([{ kind: "stopped", inputIds: ["b"] }]);
});
