import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { applyFilters } from "./actions/filters.ts";
import { pageOf } from "./paging.ts";
import { listOf, parseQuery, structsOf } from "./query.ts";
import { responseDocument } from "./xml.ts";

describe("parseQuery", () => {
  it("gives lists and members in the order of their numbers, gaps and all", () => {
    const params = parseQuery(
      "Id.10=c&Id.2=b&Id.1=a&Ids.1=no&Tag.2.Key=k&Tag.2.Value=&Tag.1.Key=j",
    );
    expect(listOf(params, "Id")).toEqual(["a", "b", "c"]);
    expect(structsOf(params, "Tag").map((tag) => [...tag])).toEqual([
      [["Key", "j"]],
      [
        ["Key", "k"],
        ["Value", ""],
      ],
    ]);
    expect(listOf(params, "Absent")).toEqual([]);
  });

  it("reads back any list that was written as a form", () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: "grapheme" })), (values) => {
        const form = new URLSearchParams();
        values.forEach((value, index) => form.append(`V.${String(index + 1)}`, value));
        expect(listOf(parseQuery(form.toString()), "V")).toEqual(values);
      }),
    );
  });
});

describe("pageOf", () => {
  it("gives every item once, in order, in pages of at most the size", () => {
    const keys = fc.uniqueArray(fc.nat(10_000)).map((list) => list.sort((a, b) => a - b));
    fc.assert(
      fc.property(keys, fc.integer({ min: 5, max: 1_000 }), (items, size) => {
        const seen: number[] = [];
        let token: string | undefined = "";
        while (token !== undefined) {
          const params = new Map([
            ["MaxResults", String(size)],
            ["NextToken", token],
          ]);
          const page: { items: readonly number[]; nextToken?: string } = pageOf(
            items,
            params,
            (item) => item,
          );
          expect(page.items.length).toBeLessThanOrEqual(size);
          seen.push(...page.items);
          token = page.nextToken;
        }
        expect(seen).toEqual(items);
      }),
    );
  });
});

describe("applyFilters", () => {
  it("fits every text to itself when its special characters are escaped", () => {
    fc.assert(
      fc.property(fc.array(fc.string(), { minLength: 1 }), fc.nat(), (texts, pick) => {
        const wanted = texts[pick % texts.length] ?? "";
        const value = wanted.replace(/[*?\\]/g, "\\$&");
        const params = new Map([
          ["Filter.1.Name", "text"],
          ["Filter.1.Value.1", value],
        ]);
        const kept = applyFilters(texts, params, () => (text) => [text]);
        expect(kept).toEqual(texts.filter((text) => text === wanted));
      }),
    );
  });
});

describe("responseDocument", () => {
  it("keeps markup in texts from becoming markup, and drops what XML cannot carry", () => {
    const document = responseDocument("X", "r", { a: '<b>&"\u0000', none: undefined, list: [] });
    expect(document).toContain("<a>&lt;b&gt;&amp;&quot;</a><list/>");
    expect(document).not.toContain("none");
  });
});
