import { expect, test } from "vitest";
import { isMemoryShort, isShortIn } from "./memory-pressure.ts";

const meminfo = (totalKiB: number, availableKiB: number): string =>
  `MemTotal:       ${totalKiB} kB\nMemFree:          1 kB\nMemAvailable:   ${availableKiB} kB\n`;

test.each([
  ["plenty is to be had", meminfo(16_000_000, 8_000_000), false],
  ["a little more than the line", meminfo(16_000_000, 960_000), false],
  ["a little less than the line", meminfo(16_000_000, 959_999), true],
  ["nothing is left", meminfo(16_000_000, 0), true],
  ["a kernel that does not say", "MemTotal: 16 kB\n", false],
  ["no such file", "", false],
])("memory runs short when little can be had of it: %s", (_, text, isShort) => {
  expect(isShortIn(text)).toBe(isShort);
});

test("this machine is asked without an error", () => {
  expect(typeof isMemoryShort()).toBe("boolean");
});
