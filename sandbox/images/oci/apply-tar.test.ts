import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { LayerXattrs } from "../build/layer-xattrs.ts";
import { applyTar, makeFolder, type ApplyOptions } from "./apply-tar.ts";
import { chunksOf, paxOf, tarOf, type TarSample } from "./test-tar.ts";

let outer: string;
let root: string;
beforeEach(() => {
  outer = mkdtempSync(join(tmpdir(), "flotilla-tar-"));
  root = join(outer, "root");
  mkdirSync(root);
  writeFileSync(join(outer, "secret"), "secret");
});
afterEach(() => rmSync(outer, { recursive: true, force: true }));

const apply = (samples: readonly TarSample[], options: ApplyOptions = {}) =>
  applyTar(chunksOf(tarOf(samples)), root, options);
const read = (name: string): string => readFileSync(join(root, name), "utf8");
const dir = (name: string): TarSample => ({ name, flag: "5", mode: 0o755 });
const link = (name: string, linkName: string): TarSample => ({ name, flag: "2", linkName });
const hard = (name: string, linkName: string): TarSample => ({ name, flag: "1", linkName });

test("files, folders and links come with their modes and times", async () => {
  const applied = await apply([
    { ...dir("usr/"), mtimeS: 1_000 },
    { name: "usr/a", content: "one", mode: 0o4755, mtimeS: 2_000 },
    link("b", "usr/a"),
    hard("c", "usr/a"),
    { name: "console", flag: "3" },
    { name: "pipe", flag: "6" },
  ]);
  expect(applied).toEqual({ byteCount: 3, entryCount: 6, skippedCount: 2, leftOutXattrCount: 0 });
  expect(read("usr/a")).toBe("one");
  expect(lstatSync(join(root, "usr/a")).mode & 0o7777).toBe(0o4755);
  expect(lstatSync(join(root, "usr/a")).mtimeMs).toBe(2_000_000);
  expect(lstatSync(join(root, "usr")).mtimeMs).toBe(1_000_000);
  expect(readlinkSync(join(root, "b"))).toBe("usr/a");
  expect(lstatSync(join(root, "c")).ino).toBe(lstatSync(join(root, "usr/a")).ino);
  expect(readdirSync(root).sort()).toEqual(["b", "c", "usr"]);
});

test("long names come by PAX headers and by GNU's", async () => {
  const long = `${"d".repeat(120)}/${"e".repeat(120)}`;
  await apply([
    paxOf({ path: long, mtime: "12.5" }),
    { name: "short", content: "pax" },
    { name: "././@LongLink", flag: "L", content: `${long}2\0` },
    { name: "short", content: "gnu" },
  ]);
  expect(read(long)).toBe("pax");
  expect(read(`${long}2`)).toBe("gnu");
});

test("a later layer replaces and removes what an earlier one has", async () => {
  await apply([
    dir("a"),
    { name: "a/one", content: "1" },
    { name: "a/two", content: "2" },
    dir("b"),
    { name: "b/old", content: "old" },
    { name: "c", content: "file" },
    link("d", "a"),
  ]);
  await apply([
    { name: "a/.wh.one" },
    { name: "b/new", content: "new" },
    { name: "b/.wh..wh..opq" },
    dir("c"),
    { name: "c/inside", content: "in" },
    { name: "d", content: "no link" },
  ]);
  expect(readdirSync(join(root, "a"))).toEqual(["two"]);
  expect(readdirSync(join(root, "b"))).toEqual(["new"]);
  expect(read("c/inside")).toBe("in");
  expect(read("d")).toBe("no link");
  expect(lstatSync(join(root, "a/two")).isFile()).toBe(true);
});

test("links on the way are followed as the container would", async () => {
  await apply([
    dir("usr/lib"),
    link("lib", "usr/lib"),
    link("abs", "/usr/lib"),
    link("up", "../../../usr/lib"),
    { name: "lib/a", content: "a" },
    { name: "abs/b", content: "b" },
    { name: "up/c", content: "c" },
    hard("hard", "lib/a"),
  ]);
  expect(readdirSync(join(root, "usr/lib")).sort()).toEqual(["a", "b", "c"]);
  expect(read("hard")).toBe("a");
});

test("a prefix holds for names and hard links, and is made", async () => {
  await apply([dir("./"), { name: "a", content: "a" }, hard("b", "a")], { prefix: "/srv/app" });
  expect(readdirSync(root)).toEqual(["srv"]);
  expect(read("srv/app/b")).toBe("a");
  await makeFolder("/var/x", root);
  expect(existsSync(join(root, "var/x"))).toBe(true);
});

describe("nothing outside the root is made, changed, removed or linked to", () => {
  test.each<[string, readonly TarSample[]]>([
    ["a name above", [{ name: "../x", content: "x" }]],
    ["a name above on the way", [{ name: "a/../../x", content: "x" }]],
    ["an absolute name above", [{ name: "/../x", content: "x" }]],
    ["a PAX name above", [paxOf({ path: "../x" }), { name: "a", content: "x" }]],
    ["a NUL in a PAX name", [paxOf({ path: "a\0/../../x" }), { name: "a", content: "x" }]],
    ["a hard link above", [hard("a", "../secret")]],
    ["a hard link to the root", [hard("a", "/")]],
    ["a hard link to nothing", [hard("a", "none")]],
    ["a whiteout of the parent", [{ name: "a/.wh..." }]],
    ["a whiteout of nothing", [{ name: ".wh." }]],
    [
      "a link that leads in circles",
      [link("a", "b"), link("b", "a"), { name: "a/x", content: "x" }],
    ],
    [
      "a file as a folder",
      [
        { name: "a", content: "a" },
        { name: "a/b", content: "b" },
      ],
    ],
    [
      "a folder that is too deep",
      [{ name: "a", flag: "0" }, paxOf({ path: "x/".repeat(300) }), dir("y")],
    ],
    ["a sparse file", [paxOf({ "GNU.sparse.major": "1" }), { name: "a", content: "x" }]],
    ["a strange type", [{ name: "a", flag: "Z" }]],
    ["a negative size", [paxOf({ size: "-1" }), { name: "a" }]],
  ])("%s is refused", async (_, samples) => {
    await expect(apply(samples)).rejects.toMatchObject({ code: "invalid_request" });
    expect(readdirSync(outer).sort()).toEqual(["root", "secret"]);
    expect(lstatSync(join(outer, "secret")).nlink).toBe(1);
  });

  test("links out of it stay in it", async () => {
    await apply([
      link("out", "../.."),
      link("abs", outer),
      { name: "out/x", content: "x" },
      { name: "abs/secret", content: "changed" },
      link("secret", join(outer, "secret")),
      { name: "secret", content: "replaced" },
      link("again", join(outer, "secret")),
      { name: ".wh.again" },
    ]);
    expect(readFileSync(join(outer, "secret"), "utf8")).toBe("secret");
    expect(readdirSync(outer).sort()).toEqual(["root", "secret"]);
    expect(read("x")).toBe("x");
    expect(read(join(outer, "secret"))).toBe("changed");
    expect(read("secret")).toBe("replaced");
  });

  test("whatever entries come in whatever order", async () => {
    const part = fc.constantFrom("a", "b", "..", ".", "", ".wh.a", ".wh..wh..opq", "root");
    const name = fc.array(part, { minLength: 1, maxLength: 4 }).map((parts) => parts.join("/"));
    const target = fc.oneof(name, fc.constantFrom("/", "/a", "../..", "../secret"));
    const sample = fc.record({
      name,
      flag: fc.constantFrom("0", "1", "2", "5"),
      linkName: target,
      content: fc.constant(""),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(sample, { maxLength: 12 }), async (samples) => {
        await apply(samples).catch(() => undefined);
        expect(readdirSync(outer).sort()).toEqual(["root", "secret"]);
        expect(readFileSync(join(outer, "secret"), "utf8")).toBe("secret");
        expect(lstatSync(join(outer, "secret")).nlink).toBe(1);
      }),
      { numRuns: 300 },
    );
  });
});

describe("an archive that is not whole is refused", () => {
  const whole = tarOf([{ name: "a", content: "x".repeat(2_000) }]);
  const refuses = (bytes: Uint8Array): Promise<void> =>
    expect(applyTar(chunksOf(bytes), root)).rejects.toMatchObject({ code: "invalid_request" });

  test("cut anywhere before its end mark", async () => {
    for (const length of [0, 1, 511, 512, 1_000, 2_559, 2_560, 3_071]) {
      await refuses(whole.subarray(0, length));
    }
  });

  test("with a damaged header", async () => {
    const damaged = Buffer.from(whole);
    damaged[3] = 0x41;
    await refuses(damaged);
  });

  test("with more bytes or files than are allowed", async () => {
    const limits = { totalBytesMax: 1_999, entriesMax: 10 };
    await expect(apply([{ name: "a", content: "x".repeat(2_000) }], { limits })).rejects.toThrow(
      /more than 1999 bytes/,
    );
    await expect(
      apply([{ name: "b", content: "x".repeat(1_500) }], { limits: { fileBytesMax: 1_499 } }),
    ).rejects.toMatchObject({ code: "payload_too_large" });
    const many = Array.from({ length: 11 }, (_, index) => ({ name: `f${index}` }));
    await expect(apply(many, { limits })).rejects.toThrow(/more than 10 entries/);
  });

  test("with any byte of a header changed, it is refused or stays in the root", async () => {
    for (let at = 0; at < 512; at += 7) {
      const damaged = Buffer.from(whole);
      damaged[at] = 0xff;
      await applyTar(chunksOf(damaged), root).catch(() => undefined);
      expect(readdirSync(outer).sort()).toEqual(["root", "secret"]);
    }
  });
});

describe("extended attributes", () => {
  const pax = (xattrs: Readonly<Record<string, string | Uint8Array>>): TarSample =>
    paxOf(
      Object.fromEntries(
        Object.entries(xattrs).map(([name, value]) => [`SCHILY.xattr.${name}`, value]),
      ),
    );
  const noted = (xattrs: LayerXattrs): Readonly<Record<string, string>> =>
    Object.fromEntries(
      [...xattrs.all()].map(([path, all]) => [
        path,
        all.map(({ name, value }) => `${name}=${Buffer.from(value).toString()}`).join(),
      ]),
    );

  test("are noted of files and folders, under the path where links lead", async () => {
    const xattrs = new LayerXattrs();
    const { leftOutXattrCount } = await apply(
      [
        pax({ "user.root": "r" }),
        dir("./"),
        pax({ "user.kind": "folder" }),
        dir("usr"),
        dir("usr/lib"),
        link("lib", "usr/lib"),
        pax({ "user.a": "1", "security.capability": Buffer.from([1, 0, 0, 2]) }),
        { name: "lib/file" },
        pax({ "user.on-a-link": "x", "trusted.on-a-link": "y" }),
        link("link", "usr"),
        { name: "plain" },
        hard("second", "lib/file"),
      ],
      { xattrs },
    );
    expect(noted(xattrs)).toEqual({
      ".": "user.root=r",
      usr: "user.kind=folder",
      "usr/lib/file": "user.a=1",
      second: "user.a=1",
    });
    // Those of the kernel, and those that no link can have.
    expect(leftOutXattrCount).toBe(3);
  });

  test("are those of the last layer that has the entry", async () => {
    const xattrs = new LayerXattrs();
    const all = ["kept", "changed", "removed", "cleared", "replaced", "folder/below"];
    const lower = all.flatMap((name) => [pax({ "user.x": "lower" }), { name }]);
    await apply([pax({ "user.f": "lower" }), dir("folder"), ...lower], { xattrs });
    await apply(
      [
        pax({ "user.x": "upper" }),
        { name: "changed" },
        { name: ".wh.removed" },
        { name: "cleared" },
        link("replaced", "kept"),
        dir("folder"),
      ],
      { xattrs },
    );
    expect(noted(xattrs)).toEqual({
      kept: "user.x=lower",
      changed: "user.x=upper",
      "folder/below": "user.x=lower",
    });
    await apply([{ name: "folder/.wh..wh..opq" }, { name: ".wh.kept" }], { xattrs });
    expect(noted(xattrs)).toEqual({ changed: "user.x=upper" });
    // A folder that comes to be on the way to a file has none of what had its name.
    await apply([{ name: ".wh.changed" }, { name: "changed/file" }], { xattrs });
    expect(noted(xattrs)).toEqual({});
  });

  test("of a folder that a file replaces are gone, with those below it", async () => {
    const xattrs = new LayerXattrs();
    await apply([pax({ "user.x": "1" }), dir("a"), pax({ "user.x": "2" }), { name: "a/b" }], {
      xattrs,
    });
    await apply([pax({ "user.x": "3" }), { name: "a" }], { xattrs });
    expect(noted(xattrs)).toEqual({ a: "user.x=3" });
  });

  test("by the hundred come whole, and one that is too long ends it all", async () => {
    const xattrs = new LayerXattrs();
    const hundreds = Object.fromEntries(
      Array.from({ length: 500 }, (_, at) => [`user.${at}`, `value ${at}`]),
    );
    await apply([pax(hundreds), { name: "file" }], { xattrs });
    expect(xattrs.of(["file"])).toHaveLength(500);
    const tooLong = [pax({ "user.long": Buffer.alloc(65_537) }), { name: "file" }];
    await expect(apply(tooLong)).rejects.toThrow(
      'the extended attribute "user.long" of file is more than Linux takes',
    );
    const ofLink = [pax({ "user.long": Buffer.alloc(65_537) }), link("link", "file")];
    expect((await apply(ofLink)).leftOutXattrCount).toBe(1);
  });
});
