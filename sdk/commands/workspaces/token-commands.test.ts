import { expect, test } from "vitest";
import { spanMsOf } from "../span.ts";
import { tokenTable } from "./token-commands.ts";

test("a table says what tokens may do, and how long ago they were used", () => {
  const base = { name: "ci", createdAtMs: 0 } as const;
  const [head = "", active = "", spent = ""] = tokenTable(
    [
      { ...base, tokenId: "to_1", scopes: ["read", "call"], state: "active", lastUsedAtMs: 60_000 },
      { ...base, tokenId: "to_2", scopes: ["admin"], state: "expired", expiresAtMs: 86_400_000 },
    ],
    90_000,
  ).split("\n");
  expect(head).toMatch(/TOKEN +NAME +SCOPES +STATE +AGE +LAST USED +EXPIRES/);
  expect(active).toMatch(/to_1 +ci +read, call +active +90 s +30 s +-/);
  expect(spent).toMatch(/to_2 +ci +admin +expired +90 s +never +1970-01-02 00:00/);
});

test.each([
  ["1s", 1_000],
  ["90m", 5_400_000],
  ["12h", 43_200_000],
  ["30d", 2_592_000_000],
])("%s is a span of time", (text, ms) => {
  expect(spanMsOf(text, "--expires")).toBe(ms);
});

test.each(["", "0d", "1", "d", "-1d", "1.5h", "1w", "1 d", "1d2h", "9999999d", "1e3s", "٣d"])(
  "%j is none",
  (text) => {
    expect(() => spanMsOf(text, "--expires")).toThrow(`--expires "${text}" is no span of time`);
  },
);
