import { expect, it } from "vitest";
import { createRng } from "../../../core/index.ts";
import { createManualClock } from "../../fake/index.ts";
import { Operations } from "./operation.ts";

it("forgets the oldest operations beyond fifty thousand, and the requests they stand for", () => {
  const operations = new Operations({ clock: createManualClock(), rng: createRng(1) });
  const first = operations.begin({ operationType: "insert" });
  operations.remember("insert a", first);
  for (let count = 1; count < 50_000; count += 1) operations.begin({ operationType: "insert" });
  expect(operations.ofRequest("insert a")).toBe(first);
  const last = operations.begin({ operationType: "insert" });
  expect(operations.ofRequest("insert a")).toBeUndefined();
  expect(operations.find(first.name)).toBeUndefined();
  expect(operations.all()).toHaveLength(50_000);
  expect(last.sequence).toBe(50_000);
});
