import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { StoredSecret } from "../store/record-store.ts";
import { openSecret, operatorKeyOf, rewrapSecret, sealSecret } from "./envelope.ts";

const KEY = operatorKeyOf(new Uint8Array(32).fill(1));
const OTHER_KEY = operatorKeyOf(new Uint8Array(32).fill(2));
const IDENTITY = { workspaceId: "main", name: "database", version: 1 };

function sealed(
  values: Readonly<Record<string, string>>,
  changes: Partial<StoredSecret> = {},
): StoredSecret {
  const identity = { ...IDENTITY, ...changes };
  return { ...identity, ...sealSecret(identity, values, KEY), createdAtMs: 1, updatedAtMs: 1 };
}

const DAMAGED = /cannot be decrypted: its record was changed or cut/;
const refused = (secret: StoredSecret, key = KEY) =>
  expect(() => openSecret(secret, key), JSON.stringify(secret));

describe("what was tampered with is not opened", () => {
  const values = { USER: "alice", PASSWORD: "correct horse" };

  test("two values that changed places", () => {
    const secret = sealed(values);
    const [a, b] = secret.values;
    const swapped = [
      { key: a?.key ?? "", sealed: b?.sealed ?? new Uint8Array() },
      { key: b?.key ?? "", sealed: a?.sealed ?? new Uint8Array() },
    ];
    refused({ ...secret, values: swapped }).toThrow(DAMAGED);
  });

  test("a secret under another name, workspace or version", () => {
    const secret = sealed(values);
    for (const change of [{ name: "other" }, { workspaceId: "other" }, { version: 2 }]) {
      refused({ ...secret, ...change }).toThrow(DAMAGED);
    }
  });

  test("values of one secret with the data key of another, even of the same text", () => {
    const secret = sealed(values);
    refused({ ...secret, values: sealed(values).values }).toThrow(DAMAGED);
    refused({ ...secret, wrappedKey: sealed(values).wrappedKey }).toThrow(DAMAGED);
  });

  test("a variable that was left out, added or renamed", () => {
    const secret = sealed(values);
    refused({ ...secret, values: secret.values.slice(1) }).toThrow(DAMAGED);
    refused({ ...secret, values: [] }).toThrow(DAMAGED);
    const [first] = secret.values;
    if (first === undefined) throw new Error("it has values");
    refused({ ...secret, values: [...secret.values, { ...first, key: "MORE" }] }).toThrow(DAMAGED);
    const renamed = [{ ...first, key: "RENAMED" }, ...secret.values.slice(1)];
    refused({ ...secret, values: renamed }).toThrow(DAMAGED);
  });

  test("any bit that changed and any cut, in values and data key", () => {
    const secret = sealed({ A: "x" });
    const [{ sealed: value } = { sealed: new Uint8Array() }] = secret.values;
    for (const part of [value, secret.wrappedKey]) {
      for (let at = 0; at < part.byteLength; at += 1) {
        const changed = Uint8Array.from(part);
        changed[at] = (changed[at] ?? 0) ^ 1;
        for (const bytes of [changed, part.subarray(0, at), part.subarray(at + 1)]) {
          const isValue = part === value;
          const broken = isValue
            ? { ...secret, values: [{ key: "A", sealed: bytes }] }
            : { ...secret, wrappedKey: bytes };
          refused(broken).toThrow(DAMAGED);
        }
      }
    }
  });
});

test("another key is named, with what to do, and nothing is lost", () => {
  const secret = sealed({ A: "x" });
  refused(secret, OTHER_KEY).toThrow(
    `secret database is encrypted under the key ${KEY.keyId}, and this server has ` +
      `${OTHER_KEY.keyId}; nothing is lost: start the server with that key`,
  );
  expect(openSecret(secret, KEY)).toEqual({ A: "x" });
  // Whoever claims that it is under his key does not get it either.
  refused({ ...secret, keyId: OTHER_KEY.keyId }, OTHER_KEY).toThrow(DAMAGED);
});

test("sealing the same again gives other bytes, so equal values do not show", () => {
  const one = sealed({ A: "same", B: "same" });
  const two = sealed({ A: "same", B: "same" });
  const texts = [...one.values, ...two.values].map((each) => Buffer.from(each.sealed).toString());
  expect(new Set(texts).size).toBe(4);
});

test("no error has a value in it", () => {
  const value = "s3cr3t-that-must-not-show";
  const secret = sealed({ TOKEN: value });
  for (const broken of [
    { ...secret, version: 9 },
    { ...secret, values: [] },
  ]) {
    try {
      openSecret(broken, KEY);
      expect.unreachable();
    } catch (error) {
      expect(JSON.stringify(error, Object.getOwnPropertyNames(error))).not.toContain(value);
    }
  }
});

test("any values come back as they were, and under another key after a change of it", () => {
  const variable = fc
    .stringMatching(/^[A-Za-z_][A-Za-z0-9_]{0,20}$/)
    .filter((x) => x !== "__proto__");
  const texts = fc.dictionary(variable, fc.string({ unit: "grapheme" }), { noNullPrototype: true });
  fc.assert(
    fc.property(texts, (values) => {
      const secret = sealed(values);
      expect(openSecret(secret, KEY)).toEqual(values);
      const moved = { ...secret, ...rewrapSecret(secret, KEY, OTHER_KEY) };
      expect(openSecret(moved, OTHER_KEY)).toEqual(values);
      expect(moved.values).toBe(secret.values);
      refused(moved).toThrow(/is encrypted under the key/);
    }),
  );
});

test("a value as large as allowed comes back", () => {
  const values = { BIG: "ü".repeat(32_000), EMPTY: "" };
  expect(openSecret(sealed(values), KEY)).toEqual(values);
});
