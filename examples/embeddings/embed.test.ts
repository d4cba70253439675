import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { embed, likeness, passagesOf } from "./embed.ts";

describe("embed", () => {
  it("gives length 1, and 0 to a text without words", () => {
    expect(Math.hypot(...embed(" ?! \u{1F41D}"))).toBe(0);
    fc.assert(
      fc.property(fc.stringMatching(/^[a-zß-öø-ÿ0-9]{1,3}$/), (word) => {
        expect(Math.hypot(...embed(word))).toBeCloseTo(1, 5);
      }),
    );
    expect(Math.hypot(...embed("a text of several words, a few of them twice"))).toBeCloseTo(1, 5);
  });

  it("sees no case, no punctuation and no order of words", () => {
    expect(embed("The boat, the SEA!")).toEqual(embed("the sea the boat"));
  });

  it("puts a text nearer to one that shares a word, then a part of one, than to another", () => {
    const asked = embed("a sailor");
    const near = ["the sailor sleeps", "a sailing boat", "flour and water"].map((text) =>
      likeness(asked, embed(text)),
    );
    expect(near).toEqual(near.toSorted((left, right) => right - left));
    expect(new Set(near).size).toBe(3);
  });
});

describe("passagesOf", () => {
  it("cuts at empty lines, and joins the lines between", () => {
    expect(passagesOf("one\ntwo\n \n\nthree\r\n")).toEqual(["one two", "three"]);
    expect(passagesOf(" \n\n ")).toEqual([]);
  });

  it("leaves a heading with what follows it", () => {
    expect(passagesOf("# Sea\n\n## Tides\n\nhigh\n\nlow")).toEqual(["# Sea ## Tides high", "low"]);
  });

  it("loses nothing but space, and is never longer than asked", () => {
    const texts = fc.string({ unit: fc.constantFrom("a", "b", " ", "\n") });
    fc.assert(
      fc.property(texts, fc.integer({ min: 1, max: 9 }), (text, charactersMax) => {
        const passages = passagesOf(text, charactersMax);
        expect(passages.join("").replace(/\s/g, "")).toBe(text.replace(/\s/g, ""));
        for (const { length } of passages) {
          expect(length).toBeGreaterThan(0);
          expect(length).toBeLessThanOrEqual(charactersMax);
        }
      }),
    );
  });
});
