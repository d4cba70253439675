import { SourceMap } from "node:module";
import { transformSync } from "esbuild";
import fc from "fast-check";
import { expect, test } from "vitest";
import { withoutSources, type BundleMap } from "./source-map.ts";

interface Entry {
  readonly originalSource?: string;
  readonly originalLine?: number;
  readonly originalColumn?: number;
  readonly name?: string;
}

const entryOf = (map: BundleMap, line: number, column: number): Entry =>
  new SourceMap(map as never).findEntry(line, column);

/** A map of lines of `f(a);`, each of one of three files, as a bundler writes it. */
function mapOf(files: readonly number[]): { readonly map: BundleMap; readonly lines: number } {
  const names = ["/a.ts", "/b.ts", "/sdk/c.ts"];
  const maps = names.map((sourcefile, file) => {
    const code = files.map(() => `function f${file}(a) { return [a, "${file}"]; }`).join("\n");
    const { map } = transformSync(code, { sourcefile, sourcemap: "external" });
    return (JSON.parse(map) as BundleMap).mappings.split(";");
  });
  // Only whole maps are joined here, so that the differences within each stay true.
  const line = files.map((file) => maps[file]?.[0] ?? "");
  return {
    map: { version: 3, sources: names, names: [], mappings: line.join(";") },
    lines: files.length,
  };
}

test("places of other sources stay what they were, those of the left out ones have none", () => {
  const file = fc.integer({ min: 0, max: 2 });
  fc.assert(
    fc.property(fc.array(file, { minLength: 1, maxLength: 12 }), (files) => {
      const { map, lines } = mapOf(files);
      const less = withoutSources(map, (source) => source.startsWith("/sdk/"));
      expect(less.sources).not.toContain("/sdk/c.ts");
      for (let line = 0; line < lines; line += 1) {
        for (const column of [0, 5, 14, 30]) {
          const before = entryOf(map, line, column);
          const after = entryOf(less, line, column);
          if (before.originalSource?.startsWith("/sdk/") === true) {
            expect(after.originalSource).toBeUndefined();
          } else {
            const { originalSource, originalLine, originalColumn } = before;
            expect(after).toMatchObject({ originalSource, originalLine, originalColumn });
          }
        }
      }
    }),
    { numRuns: 50 },
  );
});

test("a map of which nothing is left out says the same", () => {
  const { map } = mapOf([0]);
  const same = withoutSources(map, () => false);
  expect(same.mappings).toBe(map.mappings);
  expect(same.sources).toEqual(["/a.ts"]);
});

test("names, large differences and places from nowhere are kept", () => {
  const code = `export const x = 1;${" ".repeat(40_000)}export const y = 2;`;
  const { map: text } = transformSync(code, {
    sourcefile: "/a.ts",
    sourcemap: "external",
    minifyIdentifiers: true,
    format: "iife",
    globalName: "z",
  });
  const map = JSON.parse(text) as BundleMap;
  expect(withoutSources(map, () => false).mappings).toBe(map.mappings);
  expect(withoutSources(map, () => true).mappings).not.toMatch(/[A-Za-z0-9+/]{4}/);
  const none = { ...map, mappings: "A,C" };
  expect(withoutSources(none, () => false).mappings).toBe("A");
});

test("a map without anything stays empty", () => {
  const empty = { version: 3, sources: [], names: [], mappings: "" };
  expect(withoutSources(empty, () => true)).toEqual(empty);
});
