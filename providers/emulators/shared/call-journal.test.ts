import { expect, it } from "vitest";
import { CallJournal, redacted } from "./call-journal.ts";

it("keeps the latest ten thousand calls, numbered from the first", () => {
  const journal = new CallJournal();
  const count = 25_000;
  for (let index = 0; index < count; index += 1) {
    journal.add({ atMs: index, action: "a", place: "", params: {}, applied: true });
  }
  const entries = journal.entries();
  expect(entries).toHaveLength(10_000);
  expect([entries[0]?.sequence, entries.at(-1)?.sequence]).toEqual([15_000, 24_999]);
});

it("shows of a secret its length", () => {
  expect(redacted("secret")).toBe("<6 characters>");
});
