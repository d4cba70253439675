/** What programs are told of the attributes and the size of a mounted image, by a real kernel. */
import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, symlinkSync, writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { openDiskTier, type ImageIndex, type Xattr } from "../store/index.ts";
import { ingestTree } from "../store/ingest-tree.ts";
import { systemClock } from "../system-clock.ts";
import { canMount } from "./fuse-mount.ts";
import { ImageMounts } from "./image-mounts.ts";

const run = promisify(execFile);
const [ERANGE, ENODATA, EOPNOTSUPP] = [34, 61, 95];
const LARGE = Buffer.alloc(40_000, "large");

/** Prints, as JSON, what `lgetxattr` and `llistxattr` say: a length and bytes, or minus errno. */
const ASK = `
import ctypes, json, sys
libc = ctypes.CDLL(None, use_errno=True)
def sized(result, room):
    return -ctypes.get_errno() if result < 0 else [result, room.raw[:result].hex()]
answers = []
for path, name, byteCount in json.loads(sys.argv[1]):
    room = ctypes.create_string_buffer(max(byteCount, 1))
    if name is None:
        result = libc.llistxattr(path.encode(), room, byteCount)
    else:
        result = libc.lgetxattr(path.encode(), name.encode(), room, byteCount)
    answers.append(sized(result, room) if byteCount > 0 or result < 0 else result)
print(json.dumps(answers))
`;

type Question = readonly [path: string, name: string | null, byteCount: number];

let dir: string;
let images: ImageMounts;
let store: Awaited<ReturnType<typeof openDiskTier>>;

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), "flotilla-attributes-"));
  const tree = join(dir, "tree");
  mkdirSync(join(tree, "folder"), { recursive: true });
  for (const name of ["some", "none", "rights", "large"]) writeFileSync(join(tree, name), name);
  symlinkSync("some", join(tree, "link"));
  store = await openDiskTier({ dir: join(dir, "store") });
  images = new ImageMounts({
    dir: join(dir, "images"),
    serving: {
      cacheDir: join(dir, "cache"),
      cacheBytesMax: 1e9,
      sharedDirs: [join(dir, "store")],
      deadlineMs: 10_000,
    },
    token: () => "the token",
    clock: systemClock,
    onError: (error) => expect.unreachable(String(error)),
  });
});

afterEach(async () => {
  await images.close();
  await rm(dir, { recursive: true, force: true });
});

async function mounted(
  xattrs: ReadonlyMap<string, readonly Xattr[]>,
): Promise<{ readonly root: string; readonly index: ImageIndex }> {
  const { imageId, index } = await ingestTree(join(dir, "tree"), store, { xattrs });
  return { root: (await images.hold(imageId)).root, index };
}

async function ask(root: string, questions: readonly Question[]): Promise<readonly unknown[]> {
  const sent = questions.map(([path, ...rest]) => [join(root, path), ...rest]);
  // A process of its own: one that hangs does not hang this one.
  const { stdout } = await run("python3", ["-c", ASK, JSON.stringify(sent)], { timeout: 60_000 });
  return JSON.parse(stdout) as readonly unknown[];
}

const answer = (bytes: string | Buffer): readonly [number, string] => {
  const sent = Buffer.from(bytes);
  return [sent.byteLength, sent.toString("hex")];
};
const given = (name: string, value: string | Buffer): Xattr => ({
  name,
  value: Buffer.from(value),
});
const CAPABILITY = given("security.capability", Buffer.from("0100000200200000", "hex"));

describe.skipIf(!canMount())("a mounted image", () => {
  test("gives the attributes of programs: whole, by their size, or with the error that tells", async () => {
    const { root } = await mounted(
      new Map([
        ["some", [given("user.mime", "text/plain"), given("user.empty", "")]],
        ["folder", [given("user.kind", "a folder")]],
        ["large", [given("user.large", LARGE)]],
      ]),
    );
    const names = answer("user.empty\0user.mime\0");
    const cases: readonly (readonly [Question, unknown])[] = [
      [["some", "user.mime", 10], answer("text/plain")],
      [["some", "user.mime", 1_000], answer("text/plain")],
      [["some", "user.mime", 0], 10],
      [["some", "user.mime", 9], -ERANGE],
      [["some", "user.empty", 5], answer("")],
      [["some", "user.none", 100], -ENODATA],
      [["none", "user.mime", 100], -ENODATA],
      [["none", "user.mime", 0], -ENODATA],
      [["folder", "user.kind", 100], answer("a folder")],
      [["large", "user.large", 65_536], answer(LARGE)],
      [["large", "user.large", LARGE.byteLength - 1], -ERANGE],
      [["some", null, 100], names],
      [["some", null, 0], names[0]],
      [["some", null, 20], -ERANGE],
      [["none", null, 100], answer("")],
      [["link", null, 100], answer("")],
    ];
    const answers = await ask(
      root,
      cases.map(([question]) => question),
    );
    expect(answers).toEqual(cases.map(([, expected]) => expected));
  });

  test("gives none that the kernel would believe, whoever made the image", async () => {
    const acl = given("system.posix_acl_access", Buffer.from("02000000", "hex"));
    const label = given("security.selinux", "label");
    const { root } = await mounted(
      new Map([["rights", [CAPABILITY, acl, label, given("user.kept", "yes")]]]),
    );
    const names = ["security.capability", "security.selinux", "system.posix_acl_access"];
    const answers = await ask(root, [
      ["rights", "user.kept", 10],
      ["rights", null, 100],
      ...names.map((name): Question => ["rights", name, 100]),
    ]);
    expect(answers.slice(0, 2)).toEqual([answer("yes"), answer("user.kept\0")]);
    for (const one of answers.slice(2)) expect(one).toBeLessThan(0);
  });

  test("has no attributes at all where it has only such", async () => {
    const { root } = await mounted(new Map([["rights", [CAPABILITY]]]));
    const answers = await ask(root, [
      ["rights", null, 100],
      ["rights", "security.capability", 100],
      ["some", "user.mime", 100],
    ]);
    expect(answers).toEqual([-EOPNOTSUPP, -EOPNOTSUPP, -EOPNOTSUPP]);
  });

  test("is a full file system of its own size", async () => {
    const { root, index } = await mounted(new Map());
    const { stdout } = await run("stat", ["-f", "-c", "%T %S %b %f %a %c %d %l", root]);
    const [type, blockBytes, blocks, free, available, inodes, freeInodes, nameBytes] = stdout
      .trim()
      .split(" ");
    const bytes = Array.from({ length: index.chunkCount }, (_, chunk) => index.chunkBytes(chunk));
    const total = bytes.reduce((sum, one) => sum + one, 0);
    expect(type).toMatch(/^fuse/);
    expect([blockBytes, blocks]).toEqual(["4096", String(Math.ceil(total / 4_096))]);
    expect([free, available, freeInodes]).toEqual(["0", "0", "0"]);
    expect([inodes, nameBytes]).toEqual([String(index.inodeCount), "255"]);
  });
});
