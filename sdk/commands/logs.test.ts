import { describe, expect, test } from "vitest";
import { sinceOf } from "./logs.ts";

const NOW = Date.parse("2026-11-26T12:00:00Z");

describe("--since", () => {
  test.each([
    ["30s", "2026-11-26T11:59:30Z"],
    ["10m", "2026-11-26T11:50:00Z"],
    ["2h", "2026-11-26T10:00:00Z"],
    ["1d", "2026-11-25T12:00:00Z"],
    ["0s", "2026-11-26T12:00:00Z"],
    ["999999999d", "1970-01-01T00:00:00Z"],
    ["2026-11-26T08:00:00Z", "2026-11-26T08:00:00Z"],
    ["2026-11-26", "2026-11-26T00:00:00Z"],
  ])("%s", (text, at) => {
    expect(sinceOf(text, NOW)).toBe(Date.parse(at));
  });

  test.each(["", "10", "m", "-10m", "1.5h", "10 m", "yesterday", "2026-13-40", "1m2s", "10w"])(
    "%j is refused",
    (text) => {
      expect(() => sinceOf(text, NOW)).toThrow("--since");
    },
  );
});
