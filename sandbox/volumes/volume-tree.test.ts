import fc from "fast-check";
import { expect, test } from "vitest";
import { VOLUME_PIECE_BYTES } from "../../sdk/protocol/index.ts";
import { openImageIndex } from "../store/open-index.ts";
import { indexOf, treeOf, type TreeEntry } from "./volume-tree.ts";

const chunkId = fc.stringMatching(/^[0-9a-f]{64}$/);
const modifiedAtMs = fc.integer({ min: -1e12, max: 4e12 });
const anyEntry: fc.Arbitrary<TreeEntry> = fc.oneof(
  fc.record({ kind: fc.constant("folder" as const), modifiedAtMs }),
  fc.record({
    kind: fc.constant("link" as const),
    target: fc.constantFrom("x", "../ä"),
    modifiedAtMs,
  }),
  fc.array(fc.oneof(chunkId, fc.constant("")), { maxLength: 3 }).chain((chunks) =>
    fc.record({
      kind: fc.constant("file" as const),
      // Whole pieces: one chunk of a name has one length.
      bytes: fc.constant(chunks.length * VOLUME_PIECE_BYTES),
      chunks: fc.constant(chunks),
      modifiedAtMs,
      executable: fc.boolean(),
    }),
  ),
);
const anyName = fc.constantFrom("a", "b", "ä", "z z", "A", "\u{1f600}");

test("an index gives its tree back, and passes the checks of every index", () => {
  const anyTree = fc
    .dictionary(anyName, fc.tuple(anyEntry, fc.dictionary(anyName, anyEntry)))
    .map((tops) => {
      const tree = new Map<string, TreeEntry>();
      for (const [top, [entry, below]] of Object.entries(tops)) {
        const isFolder = Object.keys(below).length > 0;
        tree.set(top, isFolder ? { kind: "folder", modifiedAtMs: 5 } : entry);
        for (const [name, inside] of Object.entries(below)) tree.set(`${top}/${name}`, inside);
      }
      return tree;
    });
  fc.assert(
    fc.property(anyTree, (tree) => {
      const bytes = indexOf(tree);
      const back = treeOf(openImageIndex(bytes));
      expect(new Map(back)).toEqual(tree);
      // Equal trees are equal bytes, in whatever order they were made.
      const reversed = indexOf(new Map([...tree].reverse()));
      expect(Buffer.compare(reversed, bytes)).toBe(0);
    }),
  );
});
