import { mkdirSync, mkdtempSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { beforeAll, expect, test } from "vitest";
import { createMemoryTier } from "../store/memory-tier.ts";
import { createChunkSource, type ImageIndex } from "../store/index.ts";
import { ingestTree } from "../store/ingest-tree.ts";
import { FuseAnswers, LATER, NO_REPLY } from "./fuse-answers.ts";
import { ERRNO, OPCODE, REPLY_HEADER_BYTES } from "./fuse-protocol.ts";
import { copyRead, piecesOf, readOf } from "./read-file.ts";

const CONTENT = Buffer.from("0123456789".repeat(60_000));
let index: ImageIndex;
let chunks: readonly Uint8Array[];
let plain: ImageIndex;

beforeAll(async () => {
  const store = createMemoryTier({ nowMs: () => 0 });
  const tree = mkdtempSync(join(tmpdir(), "flotilla-answers-"));
  writeFileSync(join(tree, "large"), CONTENT);
  writeFileSync(join(tree, "small"), "small");
  mkdirSync(join(tree, "many"));
  for (let number = 0; number < 300; number += 1) {
    writeFileSync(join(tree, "many", `file-${number}`), `${number}`);
  }
  symlinkSync("../target", join(tree, "link"));
  const value = Buffer.from("value");
  const capability = { name: "security.capability", value: Buffer.from("0100000200200000", "hex") };
  const xattrs = new Map([
    [
      "small",
      [{ name: "user.test", value }, capability, { name: "trusted.overlay.opaque", value }],
    ],
    ["large", [capability]],
  ]);
  ({ index } = await ingestTree(tree, store, { xattrs }));
  ({ index: plain } = await ingestTree(tree, store, { xattrs: new Map() }));
  const source = createChunkSource([store]);
  chunks = await Promise.all(index.chunkIds().map((id) => source.read(id)));
});

function request(opcode: number, node: number, body: Uint8Array = new Uint8Array(0)): Buffer {
  const bytes = Buffer.alloc(40 + body.byteLength);
  bytes.writeUInt32LE(bytes.byteLength, 0);
  bytes.writeUInt32LE(opcode, 4);
  bytes.writeBigUInt64LE(0x1234_5678_9abc_def0n, 8);
  bytes.writeUInt32LE(node, 16);
  bytes.set(body, 40);
  return bytes;
}

function readRequest(opcode: number, node: number, offset: number, size: number): Buffer {
  const body = Buffer.alloc(40);
  body.writeBigUInt64LE(BigInt(offset), 8);
  body.writeUInt32LE(size, 16);
  return request(opcode, node, body);
}

const answers = (of: ImageIndex = index): FuseAnswers =>
  new FuseAnswers(of, (chunk) => chunks[chunk]);

/** The error of an answer (0 for none), and what follows its header. */
function ask(to: FuseAnswers, bytes: Buffer): { readonly error: number; readonly body: Buffer } {
  const length = to.answer(bytes, bytes.byteLength);
  expect(length).toBeGreaterThanOrEqual(REPLY_HEADER_BYTES);
  expect(to.reply.readUInt32LE(0)).toBe(length);
  expect(to.reply.readBigUInt64LE(8)).toBe(0x1234_5678_9abc_def0n);
  const body = Buffer.from(to.reply.subarray(REPLY_HEADER_BYTES, length));
  return { error: Math.abs(to.reply.readInt32LE(4)), body };
}

const nodeOf = (name: string): number => index.lookup(0, Buffer.from(name)) + 1;

test("a name that is not there is a success that the kernel remembers, not an error", () => {
  const { error, body } = ask(answers(), request(OPCODE.lookup, 1, Buffer.from("absent\0")));
  expect(error).toBe(0);
  expect(body.byteLength).toBe(128);
  expect(body.readBigUInt64LE(0)).toBe(0n);
  expect(body.readBigUInt64LE(16)).toBe(86_400n);
});

test("a name that is there comes with its attributes", () => {
  const { body } = ask(answers(), request(OPCODE.lookup, 1, Buffer.from("large\0")));
  expect(body.readUInt32LE(0)).toBe(nodeOf("large"));
  expect(body.readBigUInt64LE(40 + 8)).toBe(BigInt(CONTENT.byteLength));
  expect(body.readUInt32LE(40 + 60) & 0o170_000).toBe(0o100_000);
});

test("opening and whatever is not known is answered so that it is not asked again", () => {
  for (const opcode of [14, 27, 18, 29, 34, 25, 20, 46, 52, 40, 999]) {
    expect(ask(answers(), request(opcode, 2)).error).toBe(ERRNO.ENOSYS);
  }
});

test("what wants no reply gets none", () => {
  for (const opcode of [OPCODE.forget, OPCODE.batchForget, OPCODE.interrupt]) {
    expect(answers().answer(request(opcode, 2, Buffer.alloc(16)), 56)).toBe(NO_REPLY);
  }
});

test("a read whose chunk is not at hand is left to others", () => {
  const none = new FuseAnswers(index, () => undefined);
  const bytes = readRequest(OPCODE.read, nodeOf("large"), 0, 4_096);
  expect(none.answer(bytes, bytes.byteLength)).toBe(LATER);
  // Past the end there is nothing to wait for.
  const past = readRequest(OPCODE.read, nodeOf("large"), CONTENT.byteLength, 4_096);
  expect(none.answer(past, past.byteLength)).toBe(REPLY_HEADER_BYTES);
});

test("any read gives the bytes of the file from there on, and no more", () => {
  const large = nodeOf("large");
  const to = answers();
  fc.assert(
    fc.property(fc.nat({ max: 700_000 }), fc.nat({ max: 700_000 }), (offset, size) => {
      const { body } = ask(to, readRequest(OPCODE.read, large, offset, size));
      return body.equals(CONTENT.subarray(offset, offset + size));
    }),
    { numRuns: 100 },
  );
});

test("a folder is read in parts of any size, each name once, in order", () => {
  const many = nodeOf("many");
  for (const size of [200, 4_096, 1_000_000]) {
    const names: string[] = [];
    let offset = 0;
    for (;;) {
      const { body } = ask(answers(), readRequest(OPCODE.readdirplus, many, offset, size));
      if (body.byteLength === 0) break;
      expect(body.byteLength).toBeLessThanOrEqual(size);
      for (let at = 0; at < body.byteLength;) {
        const length = body.readUInt32LE(at + 128 + 16);
        names.push(body.toString("utf8", at + 152, at + 152 + length));
        offset = Number(body.readBigUInt64LE(at + 128 + 8));
        // "." and ".." are no nodes to look up.
        const node = body.readUInt32LE(at);
        if (names.at(-1)?.startsWith(".") === true) expect(node).toBe(0);
        else expect(node).toBe(body.readUInt32LE(at + 128));
        at += Math.ceil((152 + length) / 8) * 8;
      }
    }
    const wanted = Array.from({ length: 300 }, (_, number) => `file-${number}`).sort();
    expect(names).toEqual([".", "..", ...wanted]);
  }
});

test("links are read, and nothing else is a link", () => {
  expect(ask(answers(), request(OPCODE.readlink, nodeOf("link"))).body.toString()).toBe(
    "../target",
  );
  expect(ask(answers(), request(OPCODE.readlink, nodeOf("small"))).error).toBe(ERRNO.EINVAL);
});

test("attributes are given by size, in full, or not where the room is too small", () => {
  const get = (name: string, room: number, of = "small"): ReturnType<typeof ask> => {
    const body = Buffer.concat([Buffer.alloc(8), Buffer.from(`${name}\0`)]);
    body.writeUInt32LE(room, 0);
    return ask(answers(), request(OPCODE.getxattr, nodeOf(of), body));
  };
  expect(get("user.test", 0).body.readUInt32LE(0)).toBe(5);
  expect(get("user.test", 5).body.toString()).toBe("value");
  expect(get("user.test", 4).error).toBe(ERRNO.ERANGE);
  expect(get("user.other", 100).error).toBe(ERRNO.ENODATA);
  expect(get("user.test", 100, "large").error).toBe(ERRNO.ENODATA);
  // What means something to the kernel is not the image's to say.
  for (const name of ["security.capability", "trusted.overlay.opaque"]) {
    expect(get(name, 100).error).toBe(ERRNO.ENODATA);
  }
  const list = ask(
    answers(),
    request(OPCODE.listxattr, nodeOf("small"), Buffer.from("ff000000", "hex")),
  );
  expect(list.body.toString()).toBe("user.test\0");
});

test("an image without attributes is asked for them once", () => {
  const body = Buffer.concat([Buffer.alloc(8), Buffer.from("security.capability\0")]);
  expect(ask(answers(plain), request(OPCODE.getxattr, 2, body)).error).toBe(ERRNO.ENOSYS);
});

test("whatever is asked is answered within bounds", () => {
  const to = answers();
  const opcodes = fc.oneof(fc.constantFrom(...Object.values(OPCODE)), fc.nat({ max: 60 }));
  const node = fc.oneof(fc.nat({ max: 310 }), fc.nat());
  fc.assert(
    fc.property(
      opcodes,
      node,
      fc.uint8Array({ minLength: 64, maxLength: 200 }),
      (opcode, one, body) => {
        const bytes = request(opcode, one, body);
        const length = to.answer(bytes, bytes.byteLength);
        expect(length).toBeLessThanOrEqual(to.reply.byteLength);
        if (length > 0) expect(to.reply.readUInt32LE(0)).toBe(length);
      },
    ),
    { numRuns: 2_000 },
  );
});

test("the chunks that a read names are those that it needs", () => {
  const inode = nodeOf("large") - 1;
  fc.assert(
    fc.property(fc.nat({ max: 700_000 }), fc.nat({ max: 700_000 }), (offset, size) => {
      const read = readOf(index, inode, offset, size);
      const named = new Set(piecesOf(index, read).map(({ chunk }) => chunk));
      const used = new Set<number>();
      const target = Buffer.alloc(read.byteCount);
      const isWhole = copyRead(
        index,
        read,
        (chunk) => {
          used.add(chunk);
          return named.has(chunk) ? chunks[chunk] : undefined;
        },
        target,
        0,
      );
      expect(isWhole).toBe(true);
      expect(used).toEqual(named);
    }),
    { numRuns: 100 },
  );
});
