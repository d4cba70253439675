/** Folders of a version that programs rename; needs root, for overlayfs. */
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  lstatSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { createRng } from "../../core/index.ts";
import { chunkIdOf } from "../store/chunk.ts";
import { Journal } from "./journal.ts";
import { KnownTree } from "./known-tree.ts";
import { said, TestOverlay } from "./test-overlay.ts";

const SEEDS = 12;
const STEPS = 60;

let overlay: TestOverlay | undefined;

afterEach(() => {
  overlay?.close();
  overlay = undefined;
});

async function open(files: Readonly<Record<string, string>>): Promise<TestOverlay> {
  return (overlay = await TestOverlay.open(files));
}

/** What the container sees: each path with what it is. */
function seen(root: string, path = ""): readonly string[] {
  return readdirSync(join(root, path)).flatMap((name) => {
    const inside = path === "" ? name : `${path}/${name}`;
    const full = join(root, inside);
    const stats = lstatSync(full);
    if (stats.isDirectory()) return [`folder ${inside}`, ...seen(root, inside)];
    if (stats.isSymbolicLink()) return [`link ${inside} ${readlinkSync(full)}`];
    const bytes = readFileSync(full);
    return [`file ${inside} ${bytes.byteLength === 0 ? "" : chunkIdOf(bytes)}`];
  });
}

/** What the volume has after all that was committed, in the same words. */
function kept({ tree }: KnownTree): readonly string[] {
  return [...tree].map(([path, entry]) => {
    if (entry.kind === "folder") return `folder ${path}`;
    if (entry.kind === "link") return `link ${path} ${entry.target}`;
    return `file ${path} ${entry.chunks.join()}`;
  });
}

async function expectInStep(one: TestOverlay): Promise<void> {
  await one.commit(await one.find());
  expect(kept(one.known).toSorted()).toEqual(seen(one.at("")).toSorted());
  const again = await one.find();
  expect([said(again), again.busy]).toEqual([[], []]);
}

test("a folder of the version is renamed, with all in it, and nothing of it is read", async () => {
  const one = await open({ "d/x": "x", "d/s/y": "y", "d/e/": "", "d/s/z": "", k: "k" });
  renameSync(one.at("d"), one.at("new"));
  const found = await one.find();
  expect(said(found)).toEqual(
    [
      ...["folder new", "file new/x", "folder new/s", "file new/s/y", "file new/s/z"],
      ...["folder new/e", "gone d", "gone d/e", "gone d/s", "gone d/s/y", "gone d/s/z", "gone d/x"],
    ].sort(),
  );
  expect(one.pieces.size).toBe(0);
  expect([...one.again].sort()).toEqual(
    ["x", "y"].map((text) => chunkIdOf(Buffer.from(text))).sort(),
  );
  const was = one.base.get("d/x");
  expect(found.changes.find(({ path }) => path === "new/x")).toMatchObject({
    modifiedAtMs: was?.modifiedAtMs,
  });
  await expectInStep(one);
});

test("what was changed in it before and after goes with it", async () => {
  const one = await open({ "d/x": "x", "d/s/y": "y", "d/s/z": "z", "d/gone": "g" });
  writeFileSync(one.at("d/x"), "changed");
  rmSync(one.at("d/gone"));
  renameSync(one.at("d"), one.at("e"));
  writeFileSync(one.at("e/s/y"), "later");
  writeFileSync(one.at("e/new"), "new");
  await expectInStep(one);
  expect(seen(one.at(""))).toHaveLength(6);
});

test("over an empty folder it works, over a full one and into itself it does not", async () => {
  const one = await open({ "d/x": "x", "d/s/y": "y", "empty/": "", "full/f": "f" });
  expect(() => {
    renameSync(one.at("d"), one.at("full"));
  }).toThrow(/ENOTEMPTY/);
  expect(() => {
    renameSync(one.at("d"), one.at("d/s/inner"));
  }).toThrow(/EINVAL/);
  expect(said(await one.find())).toEqual([]);
  renameSync(one.at("d"), one.at("empty"));
  await expectInStep(one);
  expect(existsSync(one.at("d"))).toBe(false);
  expect(readFileSync(one.at("empty/s/y"), "utf8")).toBe("y");
});

test("there and back is nothing, and after a commit in between it is all of it again", async () => {
  const one = await open({ "d/x": "x", "d/s/y": "y" });
  renameSync(one.at("d"), one.at("e"));
  renameSync(one.at("e"), one.at("d"));
  expect(said(await one.find())).toEqual([]);
  renameSync(one.at("d"), one.at("e"));
  await expectInStep(one);
  renameSync(one.at("e"), one.at("d"));
  await expectInStep(one);
  expect(one.known.get("d/s/y")).toEqual(one.base.get("d/s/y"));
});

test("two folders with files of one name, size and time that change places are told apart", async () => {
  const one = await open({ "a/index.js": "1", "a/s/m": "3", "b/index.js": "2", "b/s/m": "4" });
  for (const path of ["a/index.js", "b/index.js", "a/s/m", "b/s/m"]) {
    utimesSync(join(one.dir, "lower", path), 499_162_500, 499_162_500);
  }
  renameSync(one.at("a"), one.at("t"));
  renameSync(one.at("b"), one.at("a"));
  renameSync(one.at("t"), one.at("b"));
  await expectInStep(one);
  expect(one.pieces.size).toBe(0);
});

test("folders in renamed folders are renamed, out of them and into others", async () => {
  const one = await open({ "a/b/c/x": "x", "a/b/y": "y", "o/z": "z", "o/p/q/r": "r" });
  renameSync(one.at("a/b/c"), one.at("c"));
  renameSync(one.at("a"), one.at("o/a"));
  renameSync(one.at("o/p"), one.at("c/p"));
  renameSync(one.at("o"), one.at("c/p/q/o"));
  await expectInStep(one);
});

test("a folder with folders only, and one that is made anew under the old name, are kept", async () => {
  const one = await open({ "d/e/f/": "", "d/g/": "", x: "x" });
  renameSync(one.at("d"), one.at("moved"));
  mkdirSync(one.at("d"));
  writeFileSync(one.at("d/own"), "own");
  await expectInStep(one);
  expect(one.known.get("moved/e/f")).toMatchObject({ kind: "folder" });
});

test("another agent that reads the journal goes on where this one was", async () => {
  const one = await open({ "d/x": "x", "d/s/y": "y" });
  renameSync(one.at("d"), one.at("e"));
  await one.commit(await one.find());
  one.journal = await Journal.open(join(one.dir, "journal"));
  one.known = new KnownTree(one.base.tree);
  one.journal.replay(one.known);
  expect(said(await one.find())).toEqual([]);
  renameSync(one.at("e"), one.at("d"));
  await expectInStep(one);
});

describe("whatever is done in whatever order, what is committed is what is there", () => {
  test.each(Array.from({ length: SEEDS }, (_, seed) => seed))("seed %i", async (seed) => {
    const one = await open({
      ...{ "a/x": "1", "a/b/x": "2", "a/b/y": "3", "c/x": "4", "c/b/x": "5" },
      ...{ "c/b/e/": "", "h/i/": "", "n/m/x": "7", z: "6" },
    });
    const rng = createRng(seed);
    const names = ["a", "b", "c", "h", "x", "e"];
    const place = (): string =>
      Array.from({ length: 1 + rng.below(3) }, () => names[rng.below(names.length)]).join("/");
    const acts: ((path: string) => void)[] = [
      ...Array.from({ length: 6 }, () => (path: string) => {
        renameSync(one.at(path), one.at(place()));
      }),
      (path) => {
        writeFileSync(one.at(path), `${rng.below(1_000)}`);
      },
      (path) => {
        mkdirSync(one.at(path));
      },
      (path) => {
        rmSync(one.at(path), { recursive: true });
      },
      (path) => {
        symlinkSync("x", one.at(path));
      },
    ];
    for (let step = 0; step < STEPS; step += 1) {
      try {
        acts[rng.below(acts.length)]?.(place());
      } catch {
        // The paths are any: most acts have nothing there to act on.
      }
      if (rng.below(5) === 0) await expectInStep(one);
    }
    await expectInStep(one);
  });
});
