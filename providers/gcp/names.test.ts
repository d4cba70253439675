import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  instanceNameOf,
  labelsOf,
  nodeIdOf,
  parseProviderNodeId,
  providerNodeIdOf,
  requestIdOf,
  tagFilter,
  tagsOf,
} from "./names.ts";

const NAME = /^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$/;
const LABEL_KEY = /^[a-z][a-z0-9_-]{0,62}$/;
const LABEL_VALUE = /^[a-z0-9_-]{0,63}$/;

describe("instance names", () => {
  it.each([
    ["no_01j9x5", "no-01j9x5"],
    ["no_a_b", "no-a-b"],
    ["no__b", "no--5f--5fb"],
    ["no_A", "no--5f--41"],
    ["no-b", "no--2db"],
    ["no_", "no--5f"],
    ["nö", "n--c3--b6"],
  ])("of %s is %s, and back", (nodeId, name) => {
    expect(instanceNameOf(nodeId)).toBe(name);
    expect(nodeIdOf(name)).toBe(nodeId);
  });

  it("are legal, different for different ids, and lead back to the id", () => {
    const ids = fc.string({ unit: fc.constantFrom(...Array.from("ab0_-A.é")), maxLength: 9 });
    fc.assert(
      fc.property(ids, (rest) => {
        const nodeId = `n${rest}`;
        const name = instanceNameOf(nodeId);
        expect(name).toMatch(NAME);
        expect(nodeIdOf(name)).toBe(nodeId);
      }),
    );
  });

  it("of other origin stand for no node unless they could be ours", () => {
    for (const name of ["a--b", "a---b", "x--zz", "a--ff", "n--61"]) {
      expect(nodeIdOf(name), name).toBeUndefined();
    }
  });

  it("cannot stand for an id that is too long or begins with something else", () => {
    for (const nodeId of ["", "1a", "_a", "A", "n".repeat(64), `n${"_".repeat(20)}`]) {
      expect(() => instanceNameOf(nodeId), nodeId).toThrow("cannot be the name");
    }
  });
});

describe("labels", () => {
  it("are readable where the tag is", () => {
    expect(labelsOf({ plan: "pl-1", "flotilla:cluster": "c1", Name: "a & b" })).toEqual({
      plan: "pl-1",
      flotilla_3acluster: "c1",
      x____4eame: "a_20_26_20b",
    });
  });

  it("are legal and lead back to the tags, whatever these are", () => {
    const key = fc.string({
      unit: fc.constantFrom(...Array.from("aZ_0- é😀")),
      minLength: 1,
      maxLength: 4,
    });
    const value = fc.string({ unit: fc.constantFrom(...Array.from("a0-_A é&")), maxLength: 80 });
    fc.assert(
      fc.property(fc.dictionary(key, value, { maxKeys: 5 }), (tags) => {
        const labels = labelsOf(tags);
        for (const [label, text] of Object.entries(labels)) {
          expect(label).toMatch(LABEL_KEY);
          expect(text).toMatch(LABEL_VALUE);
        }
        expect(new Map(Object.entries(tagsOf(labels)))).toEqual(new Map(Object.entries(tags)));
      }),
    );
  });

  it("of others are tags as they are", () => {
    expect(tagsOf({ team: "ml", under_score: "x_y", "goog-managed": "" })).toEqual({
      team: "ml",
      under_score: "x_y",
      "goog-managed": "",
    });
  });

  it("hold the longest client token there is, and are found by all of it", () => {
    const token = "A".repeat(64);
    const labels = labelsOf({ "flotilla:batch": token });
    expect(Object.keys(labels)).toHaveLength(4);
    expect(tagsOf(labels)).toEqual({ "flotilla:batch": token });
    const filter = tagFilter("flotilla:batch", token);
    for (const [label, text] of Object.entries(labels)) {
      expect(filter).toContain(`(labels.${label} = "${text}")`);
    }
  });

  it("cannot have a key that is too long", () => {
    expect(() => labelsOf({ ["k".repeat(64)]: "" })).toThrow("is longer than a label");
  });
});

describe("request ids", () => {
  it("are UUIDs, equal for equal steps and different for others", () => {
    const id = requestIdOf("token-1", "gcp/r/r-a/t/spot", "insert");
    expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    expect(requestIdOf("token-1", "gcp/r/r-a/t/spot", "insert")).toBe(id);
    const others = [
      requestIdOf("token-2", "gcp/r/r-a/t/spot", "insert"),
      requestIdOf("token-1", "gcp/r/r-b/t/spot", "insert"),
      requestIdOf("token-1", "gcp/r/r-a/t/spot", "bulkInsert"),
    ];
    expect(new Set([id, ...others]).size).toBe(4);
  });
});

describe("provider node ids", () => {
  it("name zone, name and number, and lead back to them", () => {
    const ref = { zone: "us-central1-a", name: "no-1", instanceId: "7812739187391" };
    expect(providerNodeIdOf(ref)).toBe("us-central1-a/no-1/7812739187391");
    expect(parseProviderNodeId(providerNodeIdOf(ref))).toEqual(ref);
    for (const id of ["", "us-east-1/i-0abc", "a/b", "a/1b/2", "a/b/c/d"]) {
      expect(parseProviderNodeId(id), id).toBeUndefined();
    }
  });
});
