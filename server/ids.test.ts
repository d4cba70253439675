import { expect, test } from "vitest";
import { createIdSource } from "./ids.ts";

test("an id is its prefix, an underscore and 26 characters of a-z and 0-9", () => {
  const ids = createIdSource({ nowMs: () => 1_764_000_000_000 });
  for (let index = 0; index < 1_000; index += 1) {
    expect(ids.next("fn")).toMatch(/^fn_[a-z0-9]{26}$/);
  }
});

test("later ids sort after earlier ones", () => {
  let nowMs = 0;
  const ids = createIdSource({ nowMs: () => nowMs });
  const made: string[] = [];
  for (nowMs = 1; nowMs < 2 ** 47; nowMs *= 3) made.push(ids.next("ap"));
  expect([...made].sort()).toEqual(made);
});

test("ids of one millisecond do not repeat", () => {
  const ids = createIdSource({ nowMs: () => 5 });
  const made = new Set(Array.from({ length: 20_000 }, () => ids.next("co")));
  expect(made.size).toBe(20_000);
});
