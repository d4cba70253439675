import fc from "fast-check";
import { expect, test } from "vitest";
import { everythingUnused, nameOf, oneImage, overflow, type Shelf } from "./eviction.ts";

const image = (
  imageId: string,
  layerKeys: readonly string[],
  usedAtMs = 0,
  workspaceId = "main",
) => ({
  imageId,
  layerKeys,
  usedAtMs,
  workspaceId,
});
const layers = (...keys: readonly string[]) => keys.map((key) => ({ key, byteCount: 10 }));
const shelf = (changes: Partial<Shelf>): Shelf => ({
  images: [],
  layers: [],
  used: new Set(),
  busyKeys: new Set(),
  ...changes,
});
const names = ({ images, layers: removed }: ReturnType<typeof overflow>) => [
  images.map(({ imageId }) => imageId),
  removed.map(({ key }) => key),
];

test("pruning spares what runs, what others have, and what is being built", () => {
  const removal = everythingUnused(
    shelf({
      images: [
        image("one", ["base", "a"]),
        image("two", ["base", "b"]),
        image("two", ["base", "b"], 0, "other"),
        image("three", ["c"]),
      ],
      layers: layers("base", "a", "b", "c", "loose", "busy"),
      used: new Set(["main/one"]),
      busyKeys: new Set(["busy"]),
    }),
    "main",
  );
  expect(names(removal)).toEqual([
    ["two", "three"],
    ["c", "loose"],
  ]);
});

test("within the limit nothing goes", () => {
  expect(names(overflow(shelf({ layers: layers("loose") }), 10))).toEqual([[], []]);
});

test("above it, layers of no image go first, then what was used longest ago", () => {
  const full = shelf({
    images: [
      image("new", ["base", "a"], 3),
      image("old", ["base", "b"], 1),
      image("run", ["r"], 0),
    ],
    layers: layers("base", "a", "b", "r", "loose"),
    used: new Set(["main/run"]),
  });
  expect(names(overflow(full, 40))).toEqual([[], ["loose"]]);
  expect(names(overflow(full, 39))).toEqual([["old"], ["b", "loose"]]);
  expect(names(overflow(full, 0))).toEqual([
    ["old", "new"],
    ["base", "a", "b", "loose"],
  ]);
});

test("what cannot be built again goes by its name alone, with the layers that no other has", () => {
  const kept = { ...image("files", ["base", "files"]), isKept: true };
  const full = shelf({
    images: [kept, image("two", ["base", "b"])],
    layers: layers("base", "b", "files"),
  });
  expect(names(everythingUnused(full, "main"))).toEqual([["two"], ["b"]]);
  expect(names(overflow(full, 0))).toEqual([["two"], ["b"]]);
  expect(names(oneImage(full, "main", "files"))).toEqual([["files"], ["files"]]);
  expect(names(oneImage(full, "other", "files"))).toEqual([[], []]);
});

test("whatever is there: nothing that is needed goes, and it ends below the limit where it can", () => {
  const key = fc.constantFrom("a", "b", "c", "d", "e");
  const images = fc.uniqueArray(
    fc.record({
      imageId: fc.constantFrom("1", "2", "3", "4"),
      workspaceId: fc.constantFrom("main", "other"),
      layerKeys: fc.uniqueArray(key),
      usedAtMs: fc.nat(5),
    }),
    { selector: nameOf },
  );
  const keys = fc.uniqueArray(key);
  fc.assert(
    fc.property(
      images,
      keys,
      fc.array(fc.boolean()),
      keys,
      fc.nat(60),
      (all, have, usedFlags, busy, max) => {
        const used = new Set(all.filter((_, index) => usedFlags[index] === true).map(nameOf));
        const state = shelf({
          images: all,
          layers: layers(...have),
          used,
          busyKeys: new Set(busy),
        });
        const removal = overflow(state, max);
        const stay = all.filter((one) => !removal.images.includes(one));
        const gone = new Set(removal.layers.map((layer) => layer.key));
        expect(removal.images.some((one) => used.has(nameOf(one)))).toBe(false);
        expect(stay.flatMap(({ layerKeys }) => layerKeys).some((one) => gone.has(one))).toBe(false);
        expect(busy.some((one) => gone.has(one))).toBe(false);
        const left = (have.length - gone.size) * 10;
        if (left > max) expect(stay.every((one) => used.has(nameOf(one)))).toBe(true);
      },
    ),
  );
});
