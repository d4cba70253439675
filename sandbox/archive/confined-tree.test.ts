import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import fc from "fast-check";
import { afterEach, beforeEach, expect, test } from "vitest";
import { ConfinedTree, type ConfinedTreeOptions } from "./confined-tree.ts";
import { entryPathOf, type EntryPathOptions } from "./entry-path.ts";

const SECRET = "of the host";
/** Rounds of the race between an unpacker and somebody who exchanges folders for links. */
const RACE_ROUNDS = 400;

let dir: string;
let root: string;
let outside: string;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "flotilla-tree-"));
  root = join(dir, "root");
  outside = join(dir, "outside");
  freshen();
});

afterEach(() => {
  rmSync(dir, { recursive: true });
});

function freshen(): void {
  for (const folder of [root, outside]) rmSync(folder, { recursive: true, force: true });
  mkdirSync(root);
  mkdirSync(outside);
  writeFileSync(join(outside, "secret"), SECRET, { mode: 0o600 });
}

/** All that there is outside, with what a wrong chmod or link would change. */
function outsideState(): string {
  const { mode, nlink } = statSync(join(outside, "secret"));
  const secret = readFileSync(join(outside, "secret"), "utf8");
  return JSON.stringify([readdirSync(outside), readdirSync(dir), secret, mode, nlink]);
}

/** An entry of an archive, whose names are checked as an archive's are. */
interface Entry {
  readonly name: string;
  readonly type: "file" | "folder" | "symlink" | "hardlink";
  readonly mode: number;
  readonly target?: string;
  readonly content?: Iterable<Uint8Array>;
}

type Options = ConfinedTreeOptions & EntryPathOptions;

async function unpack(entries: readonly Entry[], options: Options = {}): Promise<void> {
  const tree = await ConfinedTree.open(root, options);
  try {
    for (const entry of entries) await put(tree, entry, options);
  } finally {
    await tree.close();
  }
}

async function put(tree: ConfinedTree, entry: Entry, options: Options): Promise<void> {
  const namesOf = (path: string): readonly string[] => {
    const checked = entryPathOf(path, options);
    if (checked.kind === "inside") return checked.names;
    throw Object.assign(new Error(checked.reason), { code: "invalid_request" });
  };
  const { name, type, mode, target = "", content = [] } = entry;
  const names = namesOf(name);
  if (type === "folder") return tree.makeFolder(names, mode);
  if (type === "file") return tree.writeFile(names, { mode, content });
  if (type === "symlink") return tree.makeSymlink(names, target);
  return tree.makeHardLink(names, namesOf(target));
}

const text = (value: string): Uint8Array[] => [Buffer.from(value)];
const file = (name: string, value = "x"): Entry => {
  return { name, type: "file", mode: 0o644, content: text(value) };
};
const folder = (name: string): Entry => ({ name, type: "folder", mode: 0o755 });
const symlink = (name: string, target: string): Entry => {
  return { name, type: "symlink", mode: 0o777, target };
};
const hardlink = (name: string, target: string): Entry => {
  return { name, type: "hardlink", mode: 0o644, target };
};

test("unpacks folders, files, links and modes as an archive has them", async () => {
  await unpack([
    folder("./"),
    folder("bin"),
    { ...file("bin/tool", "run"), mode: 0o4755 },
    symlink("bin/alias", "tool"),
    symlink("etc", "/nowhere/at/all"),
    hardlink("bin/twin", "bin/tool"),
    file("deep/er/file"),
  ]);
  expect(readFileSync(join(root, "bin/twin"), "utf8")).toBe("run");
  expect(statSync(join(root, "bin/tool")).mode & 0o7777).toBe(0o4755);
  expect(statSync(join(root, "bin/tool")).nlink).toBe(2);
  expect(readlinkSync(join(root, "etc"))).toBe("/nowhere/at/all");
});

test("a later entry replaces an earlier one of any type and follows none", async () => {
  await unpack([symlink("a", join(outside, "secret")), file("a", "mine")]);
  expect(readFileSync(join(root, "a"), "utf8")).toBe("mine");
  await unpack([folder("b"), file("b/c"), symlink("b", outside), folder("b"), file("b/d")]);
  expect(readdirSync(join(root, "b"))).toEqual(["d"]);
  await unpack([file("c"), hardlink("d", "c"), file("c", "new")]);
  expect(readFileSync(join(root, "d"), "utf8")).toBe("x");
  expect(readdirSync(outside)).toEqual(["secret"]);
});

test.each([
  ["a name with ..", [file("../outside/x")]],
  ["an absolute name", [file("/tmp/x")]],
  ["a name with NUL", [file("a\0b")]],
  ["a link as a folder", [symlink("a", "../outside"), file("a/x")]],
  ["a chain of links", [symlink("a", "b"), symlink("b", "../outside"), file("a/x")]],
  ["a folder below a link", [symlink("a", "../outside"), folder("a/b")]],
  ["a hard link out", [hardlink("a", "../outside/secret")]],
  ["a hard link through a link", [symlink("l", "../outside"), hardlink("a", "l/secret")]],
  ["a hard link to a folder", [folder("f"), hardlink("a", "f")]],
  ["a hard link to itself", [file("a"), hardlink("a", "a")]],
  ["a symbolic link without a target", [symlink("a", "")]],
  ["a file as the root", [file("./")]],
  ["a link as the root", [symlink(".", "../outside")]],
  ["a symbolic link to a NUL", [symlink("a", "b\0c")]],
])("refuses %s, and touches nothing outside", async (_, entries) => {
  const before = outsideState();
  await expect(unpack(entries)).rejects.toMatchObject({ code: "invalid_request" });
  expect(outsideState()).toBe(before);
});

test("resolves links on the way as a process with this root would, where that is asked", async () => {
  const options = { linksOnTheWay: "resolve" } as const;
  await unpack(
    [folder("usr/bin"), symlink("bin", "usr/bin"), symlink("abs", "/usr"), file("bin/a")],
    options,
  );
  await unpack([file("abs/bin/b"), symlink("up", "../../../../usr"), file("up/c")], options);
  expect(readdirSync(join(root, "usr/bin")).sort()).toEqual(["a", "b"]);
  expect(existsSync(join(root, "usr/c"))).toBe(true);
  await unpack([symlink("loop", "loop")], options);
  await expect(unpack([file("loop/x")], options)).rejects.toMatchObject({
    code: "invalid_request",
  });
});

test("names that look alike are refused where that is asked, also beside what is there", async () => {
  const options = { lookalikes: "refuse" } as const;
  await unpack([file("Readme"), folder("Dir")], options);
  for (const entry of [file("README"), folder("dir"), file("dir/x"), symlink("readme", "x")]) {
    await expect(unpack([entry], options)).rejects.toThrow(/looks like/);
  }
  await unpack([file("Readme", "again"), file("Dir/x"), file("other")], options);
  await unpack([file("README")]);
  expect(readdirSync(root).length).toBe(4);
});

test("reads files of the tree, and no link, pipe, folder or large one", async () => {
  await unpack([file("f", "text"), symlink("l", join(outside, "secret")), folder("d")]);
  const tree = await ConfinedTree.open(root);
  expect(Buffer.from(await tree.readFile(["f"], 10)).toString()).toBe("text");
  for (const name of ["l", "d"]) await expect(tree.readFile([name], 10)).rejects.toThrow(/is/);
  await expect(tree.readFile(["f"], 3)).rejects.toThrow(/more than 3 bytes/);
  await expect(tree.readFile(["none"], 3)).rejects.toMatchObject({ code: "ENOENT" });
  expect([...(await tree.list([]))].sort()).toEqual(["d", "f", "l"]);
  await tree.close();
});

test("removing takes a link and not what it leads to", async () => {
  await unpack([folder("d"), symlink("d/l", outside), file("d/f")]);
  const tree = await ConfinedTree.open(root);
  expect(await tree.remove(["d"])).toBe(true);
  expect(await tree.remove(["d"])).toBe(false);
  await tree.close();
  expect(readdirSync(root)).toEqual([]);
  expect(readFileSync(join(outside, "secret"), "utf8")).toBe(SECRET);
});

test("no sequence of entries reaches anything outside, whichever way links are treated", async () => {
  const name = fc
    .array(fc.constantFrom("a", "b", "c", "..", ".", "outside", "secret"), { maxLength: 4 })
    .map((parts) => parts.join("/"));
  const target = fc.oneof(
    name,
    fc.constantFrom("..", "../..", "/", "../outside", "../outside/secret", "../../outside"),
    name.map((path) => `/${path}`),
    fc.constantFrom("OUTSIDE", "OUTSIDE/secret"),
  );
  const types = fc.constantFrom<Entry["type"][]>("file", "folder", "symlink", "hardlink");
  const made = fc.record({ name: fc.oneof(name, target), type: types, target });
  await fc.assert(
    fc.asyncProperty(
      fc.array(made, { maxLength: 12 }),
      fc.constantFrom("refuse" as const, "resolve" as const),
      async (entries, linksOnTheWay) => {
        freshen();
        const before = outsideState();
        const options = { linksOnTheWay, leadingSlash: "strip" } as const;
        const tree = await ConfinedTree.open(root, options);
        for (const entry of entries) {
          const to = entry.target.replace("OUTSIDE", outside);
          const content = text("evil");
          const evil = { ...entry, target: to, mode: 0o777, content };
          await put(tree, evil, options).catch(() => undefined);
        }
        await tree.close();
        expect(outsideState()).toBe(before);
        expect(inodesOf(root)).not.toContain(statSync(join(outside, "secret")).ino);
      },
    ),
    { numRuns: 150 },
  );
});

/** Inodes of all files in a tree; links are not followed. */
function inodesOf(path: string): readonly number[] {
  const stats = lstatSync(path);
  if (!stats.isDirectory()) return [stats.ino];
  return readdirSync(path).flatMap((name) => inodesOf(join(path, name)));
}

test("somebody who exchanges a folder for a link all the time wins nothing", async () => {
  const before = outsideState();
  const racer = new Worker(
    `const { mkdirSync, rmSync, symlinkSync, unlinkSync } = require("node:fs");
     const { folder, outside } = require("node:worker_threads").workerData;
     const attempt = (act) => { try { act(); } catch {} };
     for (;;) {
       attempt(() => rmSync(folder, { recursive: true }));
       attempt(() => symlinkSync(outside, folder));
       attempt(() => unlinkSync(folder));
       attempt(() => mkdirSync(folder));
     }`,
    { eval: true, workerData: { folder: join(root, "a"), outside } },
  );
  const tree = await ConfinedTree.open(root);
  let written = 0;
  for (let round = 0; round < RACE_ROUNDS; round += 1) {
    await tree.writeFile(["a", "x"], { mode: 0o666, content: text("evil") }).then(
      () => (written += 1),
      () => undefined,
    );
    await tree.makeHardLink(["b"], ["a", "secret"]).catch(() => undefined);
    await tree.remove(["a", "secret"]).catch(() => undefined);
    await tree.makeFolder(["a", "new"], 0o777).catch(() => undefined);
  }
  await racer.terminate();
  await tree.close();
  expect(written).toBeGreaterThan(0);
  expect(outsideState()).toBe(before);
});
