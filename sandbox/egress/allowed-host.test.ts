import { expect, test } from "vitest";
import { isAllowed, parseAllowedHost } from "./allowed-host.ts";

const allows = (pattern: string, host: string, port = 443): boolean => {
  const parsed = parseAllowedHost(pattern);
  expect(parsed).toBeDefined();
  return parsed !== undefined && isAllowed([parsed], host, port);
};

test.each([
  ["example.com", "example.com", true],
  ["example.com", "EXAMPLE.com.", true],
  ["Example.COM", "example.com", true],
  ["example.com", "www.example.com", false],
  ["example.com", "badexample.com", false],
  ["example.com", "example.com.evil.net", false],
  ["*.example.com", "a.example.com", true],
  ["*.example.com", "a.b.example.com", true],
  ["*.example.com", "example.com", false],
  ["*.example.com", "badexample.com", false],
  ["*", "anything.at.all", true],
  ["*", "2606:4700::1111", true],
  ["93.184.216.34", "93.184.216.34", true],
  ["[2606:4700::1111]", "2606:4700::1111", true],
  ["*.34", "93.184.216.34", false],
])("%s covers %s: %s", (pattern, host, expected) => {
  const parsed = parseAllowedHost(pattern);
  expect(parsed !== undefined && isAllowed([parsed], host, 443)).toBe(expected);
});

test("a pattern without a port means HTTP and HTTPS, one with a port means that one", () => {
  expect(allows("example.com", "example.com", 80)).toBe(true);
  expect(allows("example.com", "example.com", 22)).toBe(false);
  expect(allows("example.com:8443", "example.com", 8_443)).toBe(true);
  expect(allows("example.com:8443", "example.com", 443)).toBe(false);
  expect(allows("*:22", "example.com", 22)).toBe(true);
});

test.each([
  ...["", "*.", "*.*", "a.*.com", "*a.com", "http://example.com", "example.com/path", "a b"],
  ...["example.com:0", "example.com:65536", "example.com:http", "user@example.com", "::1"],
  ...["2130706433", "0x7f000001", "127.1", "*.1", "-a.com", "a..b", `${"a".repeat(64)}.com`],
])("%j is no pattern", (pattern) => {
  expect(parseAllowedHost(pattern)).toBeUndefined();
});
