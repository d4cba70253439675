import { posix } from "node:path";
import fc from "fast-check";
import { expect, test } from "vitest";
import { entryPathOf, foldedName } from "./entry-path.ts";

test.each([
  ["a/b/c", ["a", "b", "c"]],
  ["./a//b/.", ["a", "b"]],
  ["a/", ["a"]],
  ["./", []],
  [".", []],
  ["...", ["..."]],
  ["..a/b..", ["..a", "b.."]],
  ["C:\\Windows", ["C:\\Windows"]],
  ["system-systemd\\x2dcryptsetup.slice", ["system-systemd\\x2dcryptsetup.slice"]],
  ["a\nb", ["a\nb"]],
])("%j is the names %j", (path, names) => {
  expect(entryPathOf(path)).toEqual({ kind: "inside", names });
  expect(entryPathOf(Buffer.from(path))).toEqual({ kind: "inside", names });
});

test.each([
  ["..", /".."/],
  ["a/../b", /".."/],
  ["a/..", /".."/],
  ["./../x", /".."/],
  ["/etc/passwd", /absolute/],
  ["//host/share", /absolute/],
  ["", /empty/],
  ["a\0b", /NUL/],
  ["a/\ud800", /half a character/],
  ["x".repeat(256), /longer than 255/],
  ["ü".repeat(128), /longer than 255/],
  [`${"a/".repeat(2_048)}b`, /longer than 4095/],
  ["a/".repeat(257), /deeper than 256/],
])("%j is refused", (path, reason) => {
  const checked = entryPathOf(path);
  expect(checked).toEqual({ kind: "refused", reason: expect.stringMatching(reason) as string });
});

test("bytes that are not UTF-8 are refused, as two names would become one", () => {
  for (const bytes of [[0xff], [0x61, 0xc0, 0xaf], [0xed, 0xa0, 0x80], [0xc0, 0xae, 0xc0, 0xae]]) {
    expect(entryPathOf(Uint8Array.from(bytes))).toEqual({
      kind: "refused",
      reason: "is not UTF-8",
    });
  }
});

test("a leading slash is stripped where that is asked for, and nothing else with it", () => {
  const options = { leadingSlash: "strip" } as const;
  expect(entryPathOf("//etc/passwd", options)).toEqual({
    kind: "inside",
    names: ["etc", "passwd"],
  });
  expect(entryPathOf("/../etc", options).kind).toBe("refused");
});

test("what is accepted is below the root, as path arithmetic sees it", () => {
  const part = fc.constantFrom("..", ".", "", "a", "...", "b c", "\0", "/", "ü");
  fc.assert(
    fc.property(fc.array(part, { maxLength: 8 }), (parts) => {
      const path = parts.join("/");
      const checked = entryPathOf(path, { leadingSlash: "strip" });
      if (checked.kind === "refused") return;
      const whole = posix.resolve("/root", ...checked.names);
      expect(whole === "/root" || whole.startsWith("/root/")).toBe(true);
      expect(whole).toBe(posix.join("/root", path).replace(/(.)\/$/, "$1"));
    }),
  );
});

test("names that a person takes for one have one folded name", () => {
  const alike = [
    ["Makefile", "makefile"],
    ["straße", "STRASSE"],
    ["\u00e9", "e\u0301"],
    ["ﬁle", "file"],
    ["Ａ", "a"],
    ["\u212a", "k"],
  ];
  for (const [one = "", other = ""] of alike) expect(foldedName(one)).toBe(foldedName(other));
  expect(foldedName("a")).not.toBe(foldedName("b"));
});
