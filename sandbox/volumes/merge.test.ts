import fc from "fast-check";
import { expect, test } from "vitest";
import {
  VOLUME_BYTES_MAX,
  VOLUME_ENTRIES_MAX,
  VOLUME_FILE_BYTES_MAX,
  type VolumeChange,
  type VolumeRemoval,
} from "../../sdk/protocol/index.ts";
import { markHash } from "./find-changes.ts";
import { mergeChanges, type Merge } from "./merge.ts";
import { entryMark, folderOf, type TreeEntry, type VolumeTree } from "./volume-tree.ts";

const CHUNK = "a".repeat(64);

function file(bytes: number, chunk = CHUNK): TreeEntry {
  const chunks = bytes === 0 ? [] : [chunk];
  return { kind: "file", bytes, chunks, modifiedAtMs: 1, executable: false };
}
const folder: TreeEntry = { kind: "folder", modifiedAtMs: 1 };
const put = (path: string, bytes: number, was?: string): VolumeChange => {
  const chunks = bytes === 0 ? [] : [CHUNK];
  return {
    kind: "file",
    path,
    bytes,
    chunks,
    modifiedAtMs: 1,
    ...(was === undefined ? {} : { was }),
  };
};
const markOf = (entry: TreeEntry | undefined): string => entryMark(entry, markHash);

function merge(
  head: VolumeTree,
  changes: readonly VolumeChange[],
  removals: readonly VolumeRemoval[] = [],
): Extract<Merge, { kind: "merged" }> {
  const merged = mergeChanges(head, { changes, removals }, markHash);
  if (merged.kind === "refused") throw new Error(merged.reason);
  return merged;
}

test("writers of different files both survive, whoever comes first", () => {
  const base: VolumeTree = new Map([["kept", file(1)]]);
  const first = merge(base, [put("a/one", 1, "none")]).tree;
  const both = merge(first, [put("a/two", 2, "none")]);
  expect([...both.tree.keys()].sort()).toEqual(["a", "a/one", "a/two", "kept"]);
  expect(both.overwritten).toEqual([]);
});

test("of one file the last writer wins, and is told what it had not seen", () => {
  const base: VolumeTree = new Map([["f", file(1)]]);
  const was = markOf(file(1));
  const first = merge(base, [put("f", 2, was)]);
  expect(first.overwritten).toEqual([]);
  const second = merge(first.tree, [put("f", 3, was)]);
  expect(second.tree.get("f")).toMatchObject({ bytes: 3 });
  expect(second.overwritten).toEqual(["f"]);
  // Both wrote the same: there is nothing to tell.
  expect(merge(first.tree, [put("f", 2, was)])).toMatchObject({ changedCount: 0, overwritten: [] });
});

test("a removal of what another changed meanwhile is told too", () => {
  const base: VolumeTree = new Map([["f", file(1)]]);
  const { tree } = merge(base, [put("f", 2)]);
  const gone = merge(tree, [], [{ path: "f", was: markOf(file(1)) }]);
  expect(gone).toMatchObject({ removedCount: 1, overwritten: ["f"] });
  expect(gone.tree.size).toBe(0);
  expect(merge(gone.tree, [], [{ path: "f" }])).toMatchObject({ removedCount: 0 });
});

test("a folder that one removes and another fills stays with what is new", () => {
  const base: VolumeTree = new Map([
    ["d", folder],
    ["d/old", file(1)],
  ]);
  const filled = merge(base, [put("d/new", 1)]).tree;
  const { tree } = merge(filled, [], [{ path: "d" }, { path: "d/old" }]);
  expect([...tree.keys()].sort()).toEqual(["d", "d/new"]);
  expect(merge(tree, [], [{ path: "d", recursive: true }]).tree.size).toBe(0);
});

test("a file in the place of a folder, and the other way round", () => {
  const base: VolumeTree = new Map([
    ["d", folder],
    ["d/x", file(1)],
    ["f", file(1)],
  ]);
  const known = merge(base, [put("d", 5)], [{ path: "d/x", was: markOf(file(1)) }]);
  expect(known.overwritten).toEqual([]);
  expect(new Map(known.tree)).toEqual(
    new Map([
      ["f", file(1)],
      ["d", file(5)],
    ]),
  );
  // Somebody put a file into it that this writer never saw.
  expect(merge(base, [put("d", 5)]).overwritten).toEqual(["d/x"]);
  const inside = merge(base, [put("f/deep/er", 1)]);
  expect(inside.overwritten).toEqual(["f"]);
  expect(inside.tree.get("f/deep")?.kind).toBe("folder");
});

const refused: readonly (readonly [string, VolumeChange | VolumeRemoval])[] = [
  ["..", put("../x", 1)],
  [".. in the middle", put("a/../../x", 1)],
  ["a slash in front", put("/etc/passwd", 1)],
  ["a slash behind", put("a/", 1)],
  ["two slashes", put("a//b", 1)],
  [".", put("./a", 1)],
  ["the root", put(".", 1)],
  ["NUL", put("a\0b", 1)],
  ["half a character", put("a\ud800", 1)],
  ["a name that is too long", put("x".repeat(256), 1)],
  ["a path that is too deep", put("a/".repeat(300) + "b", 1)],
  ["an empty path", put("", 1)],
  ["a removal of ..", { path: "../x" }],
  ["a link to nothing", { kind: "link", path: "l", target: "", modifiedAtMs: 1 }],
  ["a link with NUL", { kind: "link", path: "l", target: "a\0", modifiedAtMs: 1 }],
  ["a file without its pieces", { ...put("f", 1), chunks: [] } as VolumeChange],
  ["a file with too many", { ...put("f", 1), chunks: [CHUNK, CHUNK] } as VolumeChange],
  ["a piece that is none", { ...put("f", 1), chunks: ["../../etc"] } as VolumeChange],
  ["a file that is too large", put("f", VOLUME_FILE_BYTES_MAX + 1)],
];

test.each(refused)("refuses %s, and takes nothing of the commit", (_, one) => {
  const given =
    "kind" in one
      ? { changes: [put("ok", 1), one], removals: [] }
      : { changes: [], removals: [one] };
  expect(mergeChanges(new Map(), given, markHash)).toMatchObject({
    kind: "refused",
    isTooLarge: false,
  });
});

test("a volume has its limits in entries and in bytes", () => {
  const full = new Map(
    Array.from({ length: VOLUME_ENTRIES_MAX }, (_, at) => [`f${at}`, file(0)] as const),
  );
  const more = mergeChanges(full, { changes: [put("one", 0)], removals: [] }, markHash);
  expect(more).toMatchObject({ kind: "refused", isTooLarge: true });
  const swapped = { changes: [put("one", 0)], removals: [{ path: "f0" }] };
  expect(mergeChanges(full, swapped, markHash).kind).toBe("merged");
  const huge = new Map([["big", { ...file(1), bytes: VOLUME_BYTES_MAX }]]);
  const over = mergeChanges(huge, { changes: [put("one", 1)], removals: [] }, markHash);
  expect(over).toMatchObject({ kind: "refused", isTooLarge: true });
});

const name = fc.constantFrom("a", "b", "c");
const path = fc.array(name, { minLength: 1, maxLength: 3 }).map((names) => names.join("/"));
/** Trees as a file system has them: everything lies in a folder. */
const anyTree = fc
  .array(
    fc.tuple(
      path,
      fc.oneof(
        fc.constant(folder),
        fc.integer({ min: 1, max: 3 }).map((n) => file(n)),
      ),
    ),
  )
  .map((entries) => {
    const tree = new Map<string, TreeEntry>();
    for (const [at, entry] of entries) {
      const above: string[] = [];
      for (let each = folderOf(at); each !== ""; each = folderOf(each)) above.push(each);
      if (above.some((each) => tree.has(each) && tree.get(each)?.kind !== "folder")) continue;
      if ([...tree.keys()].some((each) => each.startsWith(`${at}/`)) && entry.kind !== "folder")
        continue;
      for (const each of above) tree.set(each, folder);
      tree.set(at, entry);
    }
    return tree;
  });

/** What a container with `base` that has become `next` would say. */
function changesBetween(base: VolumeTree, next: VolumeTree) {
  const changes: VolumeChange[] = [];
  for (const [at, entry] of next) {
    const was = markOf(base.get(at));
    if (was === markOf(entry)) continue;
    if (entry.kind === "file") changes.push(put(at, entry.bytes, was));
    else changes.push({ kind: "folder", path: at, modifiedAtMs: 1, was });
  }
  const removals = [...base.keys()]
    .filter((at) => !next.has(at))
    .map((at) => ({ path: at, was: markOf(base.get(at)) }));
  return { changes, removals };
}

const asText = (tree: VolumeTree): readonly string[] =>
  [...tree].map(([at, entry]) => `${at}=${markOf(entry)}`).sort();

test("a writer that nobody disturbs gets exactly its tree, and is told nothing", () => {
  fc.assert(
    fc.property(anyTree, anyTree, (base, next) => {
      const merged = mergeChanges(base, changesBetween(base, next), markHash);
      if (merged.kind === "refused") throw new Error(merged.reason);
      expect(asText(merged.tree)).toEqual(asText(next));
      expect(merged.overwritten).toEqual([]);
    }),
  );
});

test("of two writers each path is as one of them left it, and what both left is kept", () => {
  fc.assert(
    fc.property(anyTree, anyTree, anyTree, (base, mine, theirs) => {
      const head = merge(base, ...listed(changesBetween(base, theirs))).tree;
      const merged = mergeChanges(head, changesBetween(base, mine), markHash);
      if (merged.kind === "refused") throw new Error(merged.reason);
      for (const [at, entry] of merged.tree) {
        expect([
          markOf(base.get(at)),
          markOf(mine.get(at)),
          markOf(theirs.get(at)),
          "folder",
        ]).toContain(markOf(entry));
        // Everything lies in a folder.
        if (folderOf(at) !== "") expect(merged.tree.get(folderOf(at))?.kind).toBe("folder");
      }
      for (const [at, entry] of mine) {
        // What I changed is as I left it: I am the last.
        if (entry.kind === "file" && markOf(base.get(at)) !== markOf(entry)) {
          expect(markOf(merged.tree.get(at))).toBe(markOf(entry));
        }
      }
      for (const [at, entry] of theirs) {
        const isUntouched = markOf(base.get(at)) === markOf(mine.get(at));
        const isCovered = merged.overwritten.includes(at) || entry.kind === "folder";
        if (isUntouched && !isCovered) expect(markOf(merged.tree.get(at))).toBe(markOf(entry));
      }
    }),
  );
});

function listed({ changes, removals }: ReturnType<typeof changesBetween>) {
  return [changes, removals] as const;
}
