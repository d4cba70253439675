import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { Xattr } from "../../store/index.ts";
import { keptXattrs, LayerXattrs } from "./layer-xattrs.ts";

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "flotilla-xattrs-"));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const one = (name: string, value: string | Uint8Array = "v"): Xattr => ({
  name,
  value: Buffer.from(value),
});

test("what is written is read: any bytes, any path, the root too", async () => {
  const bytes = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
  const all = new LayerXattrs();
  all.set([], [one("user.root")]);
  all.set(["ä", "b"], [one("user.bytes", bytes), one("user.empty", "")]);
  const file = join(dir, "xattrs.json");
  await all.write(file);
  const read = LayerXattrs.read(file);
  expect(read.all()).toEqual(
    new Map([
      [".", [one("user.root")]],
      ["\u00c3\u00a4/b", [one("user.bytes", bytes), one("user.empty", "")]],
    ]),
  );
  expect(read.of(["ä"])).toEqual([]);
});

test("no attributes are no file, and no file no attributes", async () => {
  const file = join(dir, "xattrs.json");
  await new LayerXattrs().write(file);
  expect(existsSync(file)).toBe(false);
  expect(LayerXattrs.read(file).isEmpty).toBe(true);
});

test("what is removed takes what is below it, and nothing beside it", () => {
  const all = new LayerXattrs();
  for (const path of [["a"], ["a", "b", "c"], ["ab"]]) all.set(path, [one("user.x")]);
  all.remove(["none", "at", "all"]);
  all.remove(["a"]);
  expect([...all.all().keys()]).toEqual(["ab"]);
  all.remove([]);
  expect(all.all().size).toBe(1);
});

test("a folder that gets others keeps what is below it", () => {
  const all = new LayerXattrs();
  all.set(["a", "b"], [one("user.x")]);
  all.set(["a"], [one("user.y")]);
  all.set(["a"], []);
  expect([...all.all().keys()]).toEqual(["a/b"]);
});

test("a layer has so many and no more, however they are spread", () => {
  const all = new LayerXattrs();
  const large = [one("user.x", Buffer.alloc(65_536))];
  for (let file = 0; file < 255; file += 1) all.set([`file ${file}`], large);
  expect(() => all.set(["last"], large)).toThrow("extended attributes of a layer have more than");
});

test("only those of programs are kept, up to what Linux takes of a file", () => {
  const kept = (xattrs: readonly Xattr[]): readonly string[] =>
    keptXattrs("file", xattrs).map(({ name }) => name);
  const others = ["security.capability", "trusted.x", "system.posix_acl_access", "user.", "USER.x"];
  expect(kept([...others, "user.x"].map((name) => one(name)))).toEqual(["user.x"]);
  // What is left out may be as large as it likes.
  expect(kept([one("com.apple.ResourceFork", Buffer.alloc(100_000))])).toEqual([]);
  const hundreds = Array.from({ length: 700 }, (_, at) => one(`user.${at}`));
  expect(kept(hundreds)).toHaveLength(700);
  const long = (length: number): string => `user.${"n".repeat(length - 5)}`;
  expect(kept([one(long(255), Buffer.alloc(65_536))])).toHaveLength(1);
  const tooMuch = /more than Linux takes/;
  expect(() => kept([one(long(256))])).toThrow(tooMuch);
  expect(() => kept([one("user.x", Buffer.alloc(65_537))])).toThrow(tooMuch);
  const many = Array.from({ length: 300 }, (_, at) => one(`${long(250)}${at}`));
  expect(() => kept(many)).toThrow(tooMuch);
});
