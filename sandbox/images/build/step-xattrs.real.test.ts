/** What a step's files have on a real disk, and what is kept of it. */
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, type TestContext } from "vitest";
import { LayerXattrs } from "./layer-xattrs.ts";
import { keepStepXattrs } from "./step-xattrs.ts";

let dir: string;
let tree: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "flotilla-step-xattrs-"));
  tree = join(dir, "tree");
  mkdirSync(tree);
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const SET = `
import json, os, sys
for path, name, value in json.loads(sys.argv[1]):
    os.setxattr(os.fsencode(path.encode("latin1")), name.encode(), bytes.fromhex(value))
`;

/** Sets attributes as a program does; a path is latin1, each byte a character. */
function set(context: TestContext, ...all: readonly (readonly [string, string, string])[]): void {
  const given = all.map(([path, name, value]) => {
    const bytes = Buffer.from(path, "latin1").toString("latin1");
    return [join(tree, bytes), name, Buffer.from(value, "latin1").toString("hex")];
  });
  try {
    execFileSync("python3", ["-c", SET, JSON.stringify(given)], { stdio: "pipe" });
  } catch (error) {
    context.skip(`attributes cannot be set here: ${String(error)}`);
  }
}

async function kept(): Promise<Readonly<Record<string, string>>> {
  const file = join(dir, "xattrs.json");
  await keepStepXattrs(tree, file);
  const all = [...LayerXattrs.read(file).all()].map(([path, xattrs]) => {
    const texts = xattrs.map(
      ({ name, value }) => `${name}=${Buffer.from(value).toString("latin1")}`,
    );
    return [path, texts.toSorted().join(" ")];
  });
  return Object.fromEntries(all) as Readonly<Record<string, string>>;
}

test("of files and folders those of programs are kept, whatever their names and bytes", async (context) => {
  const bytes = Array.from({ length: 256 }, (_, byte) => String.fromCharCode(byte)).join("");
  const strange = "line\nend = \\ # file: \u00c3\u00a4";
  mkdirSync(join(tree, "folder"));
  for (const name of ["folder/file", Buffer.from(strange, "latin1").toString(), "none"]) {
    writeFileSync(join(tree, name), "x");
  }
  set(
    context,
    [".", "user.root", "r"],
    ["folder", "user.kind", "folder"],
    ["folder/file", "user.a=b\n", bytes],
    ["folder/file", "user.empty", ""],
    ["folder/file", "trusted.left", "out"],
    [strange, "user.ä", "v"],
  );
  expect(await kept()).toEqual({
    ".": "user.root=r",
    folder: "user.kind=folder",
    "folder/file": `user.a=b\n=${bytes} user.empty=`,
    [strange]: "user.ä=v",
  });
});

test("links are not followed, and a name that is no UTF-8 is passed over", async (context) => {
  mkdirSync(join(dir, "outside"));
  writeFileSync(join(dir, "outside/secret"), "x");
  writeFileSync(Buffer.from(join(tree, "\u00ff"), "latin1"), "x");
  symlinkSync("../outside", join(tree, "folder"));
  symlinkSync("../outside/secret", join(tree, "file"));
  set(
    context,
    ["../outside", "user.not", "v"],
    ["../outside/secret", "user.not", "v"],
    ["\u00ff", "user.not", "v"],
  );
  expect(await kept()).toEqual({});
  expect(existsSync(join(dir, "xattrs.json"))).toBe(false);
});
