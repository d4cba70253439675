import {
  chmodSync,
  cpSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { spawnSync } from "node:child_process";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { applyTar } from "../oci/apply-tar.ts";
import { readTar } from "../oci/tar-reader.ts";
import { makeSpecialFile } from "../../store/special-file.ts";
import { packWritten } from "./pack-written.ts";

const MIB = 1_024 * 1_024;

let dir: string;
let leftOut: Map<string, string>;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "flotilla-pack-"));
  leftOut = new Map();
  for (const name of ["upper", "lower", "merged"]) mkdirSync(join(dir, name));
});

afterEach(() => rmSync(dir, { recursive: true }));

const at = (...names: readonly string[]): string => join(dir, ...names);

/** What the kernel would show: what is above, and what of below is not hidden. */
function merge(...hidden: readonly string[]): void {
  cpSync(at("lower"), at("merged"), { recursive: true, verbatimSymlinks: true });
  for (const path of hidden) rmSync(at("merged", path), { recursive: true });
}

function pack(bytesMax = MIB): AsyncGenerator<Uint8Array, void, void> {
  const folders = { upper: at("upper"), lower: at("lower"), merged: at("merged") };
  return packWritten(folders, { bytesMax, onLeftOut: (path, why) => leftOut.set(path, why) });
}

async function entries(bytesMax?: number) {
  const found = new Map<string, { readonly type: string; readonly linkName: string }>();
  for await (const { name, type, linkName } of readTar(pack(bytesMax))) {
    found.set(name, { type, linkName });
  }
  return found;
}

/** What is below with the layer over it. */
async function applied(): Promise<string> {
  const root = at("applied");
  cpSync(at("lower"), root, { recursive: true, verbatimSymlinks: true });
  await applyTar(pack(), root);
  return root;
}

test("what was written comes again: names, modes, links, and contents of any name", async () => {
  const long = "n".repeat(200);
  mkdirSync(at("upper/srv", long), { recursive: true });
  writeFileSync(at("upper/srv", long, "a\nb"), "of a line");
  writeFileSync(at("upper/srv/größe"), "x".repeat(1_000));
  writeFileSync(at("upper/srv/closed"), "secret");
  chmodSync(at("upper/srv/closed"), 0);
  writeFileSync(at("upper/srv/one"), "shared");
  linkSync(at("upper/srv/one"), at("upper/srv/two"));
  merge();
  const root = await applied();
  expect(readFileSync(join(root, "srv", long, "a\nb"), "utf8")).toBe("of a line");
  expect(readFileSync(join(root, "srv/größe"), "utf8")).toBe("x".repeat(1_000));
  expect(lstatSync(join(root, "srv/closed")).mode & 0o7777).toBe(0);
  expect(lstatSync(join(root, "srv/one")).ino).toBe(lstatSync(join(root, "srv/two")).ino);
  expect(leftOut).toEqual(new Map());
});

test("what is below and no more to be seen is removed, in folders that are new above too", async () => {
  mkdirSync(at("lower/etc/deep/er"), { recursive: true });
  for (const name of ["kept", "gone", "deep/er/old"]) writeFileSync(at("lower/etc", name), name);
  mkdirSync(at("upper/etc/deep/er"), { recursive: true });
  writeFileSync(at("upper/etc/deep/er/new"), "new");
  merge("etc/gone", "etc/deep/er/old");
  const root = await applied();
  expect(readdirSync(join(root, "etc"), { recursive: true }).toSorted()).toEqual([
    "deep",
    "deep/er",
    "deep/er/new",
    "kept",
  ]);
});

test("links lead nowhere: they are kept as texts, and nothing outside is read", async () => {
  mkdirSync(at("outside"));
  writeFileSync(at("outside/secret"), "secret");
  mkdirSync(at("lower/data"));
  writeFileSync(at("lower/data/file"), "below");
  symlinkSync(at("outside"), at("upper/data"));
  symlinkSync("../../outside/secret", at("upper/up"));
  merge("data");
  symlinkSync(at("outside"), at("merged/data"));
  const found = await entries();
  expect(found).toEqual(
    new Map([
      ["data", { type: "symlink", linkName: at("outside") }],
      ["up", { type: "symlink", linkName: "../../outside/secret" }],
    ]),
  );
  const root = await applied();
  expect(readlinkSync(join(root, "up"))).toBe("../../outside/secret");
  expect(readdirSync(at("outside"))).toEqual(["secret"]);
});

test("what no layer can have is left out and said; the rest comes", async () => {
  mkdirSync(at("upper/srv"));
  writeFileSync(at("upper/srv/.wh.mine"), "");
  writeFileSync(Buffer.from([...Buffer.from(`${at("upper/srv")}/`), 0xff]), "");
  writeFileSync(at("upper/srv/file"), "kept");
  makeSpecialFile(Buffer.from(at("upper/srv/pipe")), 0o010_644, 0);
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(at("upper/srv/socket"), resolve));
  merge();
  const found = await entries();
  server.close();
  expect([...found.keys()]).toEqual(["srv", "srv/file"]);
  expect(leftOut.get("srv/.wh.mine")).toMatch(/means a removal/);
  expect(leftOut.get("srv/?")).toMatch(/no UTF-8/);
  expect(leftOut.get("srv/pipe")).toMatch(/pipe/);
  expect(leftOut.get("srv/socket")).toMatch(/socket/);
});

/** Each folder is reached from the root anew, so depth costs its square. */
const DEEP_MS = 300_000;

test("a folder of endless depth is cut where a layer ends", { timeout: DEEP_MS }, async () => {
  mkdirSync(at("upper", ...Array.from({ length: 300 }, () => "d")), { recursive: true });
  merge();
  await applied();
  expect([...leftOut.values()]).toEqual([expect.stringMatching(/deeper than 256 folders/)]);
});

test("a huge file of holes is refused by its name before any of it is read", async () => {
  writeFileSync(at("upper/huge"), "");
  truncateSync(at("upper/huge"), 1_024 * 1_024 * MIB);
  merge();
  await expect(entries()).rejects.toMatchObject({
    code: "payload_too_large",
    message: expect.stringMatching(/"\/huge".*holes of files count/) as string,
  });
  expect(existsSync(at("applied"))).toBe(false);
});

test("attributes of programs come with their files and folders, none that a kernel believes", async (context) => {
  mkdirSync(at("upper/srv"));
  writeFileSync(at("upper/srv/file"), "x");
  linkSync(at("upper/srv/file"), at("upper/srv/same"));
  writeFileSync(at("outside"), "x");
  symlinkSync(at("outside"), at("upper/srv/link"));
  const set = `
import os, sys
os.setxattr("upper/srv", "user.kind", b"folder")
os.setxattr("upper/srv/file", "user.100%=ä", bytes(range(256)))
os.setxattr("outside", "user.not", b"v")
if os.getuid() == 0: os.setxattr("upper/srv/file", "trusted.not", b"v")
`;
  const { status, stderr } = spawnSync("python3", ["-c", set], { cwd: dir, encoding: "utf8" });
  if (status !== 0) context.skip(`attributes cannot be set here: ${stderr}`);
  merge();
  const found = new Map<string, unknown>();
  for await (const { name, xattrs } of readTar(pack())) {
    if (xattrs.length > 0) found.set(name, xattrs);
  }
  const bytes = Uint8Array.from({ length: 256 }, (_, byte) => byte);
  const file = [{ name: "user.100%=ä", value: bytes }];
  const folder = [{ name: "user.kind", value: new Uint8Array(Buffer.from("folder")) }];
  expect([...found.entries()]).toEqual([
    ["srv", folder],
    [expect.stringMatching(/^srv\/(?:file|same)$/), file],
  ]);
});
