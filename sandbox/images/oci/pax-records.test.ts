import fc from "fast-check";
import { expect, test } from "vitest";
import { laterRecords, NO_RECORDS, parsePax } from "./pax-records.ts";
import { paxRecord } from "./test-tar.ts";

const XATTR = "SCHILY.xattr.";

test("attributes are bytes under their names, and all else is text", () => {
  const value = Buffer.from("00ff0a3d0a", "hex");
  const body = Buffer.concat([
    paxRecord("path", "näme"),
    paxRecord(`${XATTR}user.bytes`, value),
    paxRecord(`${XATTR}user.empty`, ""),
    paxRecord("comment", "a=b"),
  ]);
  expect(parsePax(body)).toEqual({
    texts: { path: "näme", comment: "a=b" },
    xattrs: [
      { name: "user.bytes", value: new Uint8Array(value) },
      { name: "user.empty", value: new Uint8Array(0) },
    ],
  });
});

test("whatever attributes are written are read", () => {
  const name = fc
    .string({ minLength: 1, maxLength: 30, unit: "grapheme" })
    .filter((text) => !text.includes("\0"));
  const attributes = fc.uniqueArray(fc.record({ name, value: fc.uint8Array({ maxLength: 300 }) }), {
    selector: (one) => one.name,
    maxLength: 40,
  });
  fc.assert(
    fc.property(attributes, (xattrs) => {
      const records = xattrs.map((one) => {
        const written = one.name.replaceAll("%", "%25").replaceAll("=", "%3D");
        return paxRecord(XATTR + written, one.value);
      });
      expect(parsePax(Buffer.concat(records)).xattrs).toEqual(xattrs);
    }),
  );
});

test("an equals sign in a name is one that GNU tar has written, and the first ends it", () => {
  const read = (key: string): unknown => parsePax(paxRecord(XATTR + key, "b")).xattrs;
  const b = new Uint8Array(Buffer.from("b"));
  expect(read("user.a%3Dc")).toEqual([{ name: "user.a=c", value: b }]);
  expect(read("user.%253D")).toEqual([{ name: "user.%3D", value: b }]);
  const cut = new Uint8Array(Buffer.from("c=b"));
  expect(read("user.a=c")).toEqual([{ name: "user.a", value: cut }]);
});

test("of a name that comes twice the last counts, in one header and in two", () => {
  const one = (value: string): Buffer => paxRecord(`${XATTR}user.a`, value);
  const last = [{ name: "user.a", value: new Uint8Array(Buffer.from("2")) }];
  expect(parsePax(Buffer.concat([one("1"), one("2")])).xattrs).toEqual(last);
  const both = laterRecords(parsePax(one("1")), parsePax(one("2")));
  expect(both.xattrs).toEqual(last);
  expect(laterRecords(both, NO_RECORDS)).toEqual(both);
});

test("an attribute named like a part of every object is one", () => {
  const body = Buffer.concat([paxRecord("__proto__", "x"), paxRecord(`${XATTR}__proto__`, "y")]);
  const { texts, xattrs } = parsePax(body);
  expect(texts["path"]).toBeUndefined();
  expect(xattrs).toEqual([{ name: "__proto__", value: new Uint8Array(Buffer.from("y")) }]);
});

test.each([
  ["a length that is no number", "x2 a=b\n"],
  ["no length", " a=b\n"],
  ["a length with a sign", "+7 a=b\n"],
  ["a length in hexadecimal", "0x8 a=b\n"],
  ["a length with spaces", " 7 a=b\n"],
  ["a length of nothing", "0 a=b\n"],
  ["a length that ends before its text", "2 a=b\n"],
  ["a length beyond the header", "70 a=b\n"],
  ["a length beyond all numbers", `${"9".repeat(400)} a=b\n`],
  ["no line end", "6 a=bX"],
  ["no equals sign", "5 ab\n"],
  ["an equals sign of the next record", "5 ab\n6 a=b\n"],
  ["no key", "5 =b\n"],
  ["half a record", "11 SCHILY.xa"],
  ["no space", "123456"],
])("%s is a damaged header", (_, text) => {
  expect(() => parsePax(Buffer.from(text))).toThrow("a PAX header is damaged");
});

test("keys with a NUL or of another encoding are refused", () => {
  const key = (bytes: Buffer): Buffer => {
    const rest = Buffer.concat([Buffer.from(` ${XATTR}user.`), bytes, Buffer.from("=v\n")]);
    return Buffer.concat([Buffer.from(String(rest.length + 2)), rest]);
  };
  expect(() => parsePax(key(Buffer.from("a\0b")))).toThrow("a key with a NUL in it");
  expect(() => parsePax(key(Buffer.from([0xff])))).toThrow("a key that is no UTF-8");
});

test("whatever bytes a header has, it is read or refused", () => {
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 200 }),
    fc
      .string({ unit: fc.constantFrom("1", "2", " ", "=", "\n", "a"), maxLength: 60 })
      .map((text) => Buffer.from(text)),
  );
  fc.assert(
    fc.property(bytes, (body) => {
      try {
        parsePax(body);
      } catch (error) {
        expect(String(error)).toContain("a PAX header");
      }
    }),
  );
});
