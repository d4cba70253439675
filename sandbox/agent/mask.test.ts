import fc from "fast-check";
import { expect, test } from "vitest";
import { MASKED_CHARACTERS_MIN, maskOf } from "./mask.ts";

test("values are hidden wherever they are in a text", () => {
  const mask = maskOf(["hunter2-hunter2"]);
  expect(mask("hunter2-hunter2 and=hunter2-hunter2!")).toBe("*** and=***!");
});

test("a value is no pattern", () => {
  const mask = maskOf(["a.c*(d)+[e]$^|\\"]);
  expect(mask("a.c*(d)+[e]$^|\\ abcdd")).toBe("*** abcdd");
  expect(maskOf(["$&$&$&$&"])("x$&$&$&$&y")).toBe("x***y");
});

test("of two values that begin alike the longer is hidden whole", () => {
  expect(maskOf(["password", "password-of-bob"])("password-of-bob")).toBe("***");
});

test("each line of a value that has several is hidden", () => {
  const key = "-----BEGIN KEY-----\nMIIEvQIBADAN\nshort\n-----END KEY-----\n";
  const mask = maskOf([key]);
  expect(key.split("\n").map(mask)).toEqual(["***", "***", "short", "***", ""]);
});

test("short and empty values are shown", () => {
  const text = "the port is 5432 and the flag true";
  expect(maskOf(["5432", "true", "", " "])(text)).toBe(text);
});

test("no value of enough characters is left in any text", () => {
  const value = fc.string({ minLength: MASKED_CHARACTERS_MIN }).filter((one) => {
    return one.trim().length >= MASKED_CHARACTERS_MIN && !/[\r\n*]/.test(one);
  });
  fc.assert(
    fc.property(fc.array(value, { minLength: 1 }), fc.string(), (values, text) => {
      const mask = maskOf(values);
      for (const one of values) expect(mask(text + one + text)).not.toContain(one.trim());
    }),
  );
});
