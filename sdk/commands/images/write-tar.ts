/**
 * Files of this machine as tar archives that depend on nothing but names, modes and bytes: equal
 * files give equal archives, whoever owns them and whenever they were written.
 */
import { createHash } from "node:crypto";
import { ARCHIVE_BYTES_MAX } from "../../protocol/image.ts";
import { UsageError } from "../../errors.ts";

/** One entry; its name is relative, with "/" between the parts. */
export type ArchiveEntry =
  | { readonly kind: "dir"; readonly name: string }
  | { readonly kind: "link"; readonly name: string; readonly target: string }
  | {
      readonly kind: "file";
      readonly name: string;
      readonly byteCount: number;
      readonly isExecutable: boolean;
      readonly read: () => Promise<Uint8Array>;
    };

export interface Archive {
  readonly sha256: string;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

const BLOCK = 512;
const NAME_BYTES_MAX = 100;
const TYPE_FLAGS = { dir: "5", link: "2", file: "0", records: "x" } as const;

/** Archives of the entries, in order, each as large as it may be. @throws UsageError */
export async function* writeArchives(
  entries: readonly ArchiveEntry[],
): AsyncGenerator<Archive, void, void> {
  let parts: Uint8Array[] = [];
  let byteCount = 0;
  for (const entry of entries) {
    const size = entry.kind === "file" ? entry.byteCount : 0;
    const most = size + 8 * BLOCK + 2 * entry.name.length;
    if (most > ARCHIVE_BYTES_MAX) {
      throw new UsageError(
        `${entry.name} has ${Math.ceil(size / 1e6)} MB, and a file that is added to an image has ` +
          `at most ${Math.floor(ARCHIVE_BYTES_MAX / 1e6)}`,
        "fetch it with runCommands, or leave it out with `ignore`",
      );
    }
    if (byteCount + most > ARCHIVE_BYTES_MAX) {
      yield archiveOf(parts);
      parts = [];
      byteCount = 0;
    }
    const encoded = await encodeEntry(entry);
    parts.push(...encoded);
    byteCount += encoded.reduce((sum, part) => sum + part.length, 0);
  }
  yield archiveOf(parts);
}

function archiveOf(parts: readonly Uint8Array[]): Archive {
  const bytes = new Uint8Array(Buffer.concat([...parts, new Uint8Array(2 * BLOCK)]));
  return { bytes, sha256: createHash("sha256").update(bytes).digest("hex") };
}

async function encodeEntry(entry: ArchiveEntry): Promise<readonly Uint8Array[]> {
  const content = entry.kind === "file" ? await entry.read() : new Uint8Array(0);
  const target = entry.kind === "link" ? entry.target : "";
  const isLong =
    Buffer.byteLength(entry.name) >= NAME_BYTES_MAX || Buffer.byteLength(target) >= NAME_BYTES_MAX;
  const records = isLong ? longNames(entry.name, target) : [];
  const isRunnable = entry.kind !== "file" || entry.isExecutable;
  const header = headerOf({
    name: isLong ? "long" : entry.name,
    target: isLong ? "" : target,
    flag: TYPE_FLAGS[entry.kind],
    mode: isRunnable ? 0o755 : 0o644,
    byteCount: content.length,
  });
  return [...records, header, content, padding(content.length)];
}

/** A PAX header; each record begins with its own length. */
function longNames(name: string, target: string): readonly Uint8Array[] {
  const record = (key: string, value: string): string => {
    const rest = Buffer.byteLength(` ${key}=${value}\n`);
    let length = rest + 1;
    while (String(length).length + rest !== length) length = String(length).length + rest;
    return `${length} ${key}=${value}\n`;
  };
  const text = record("path", name) + (target === "" ? "" : record("linkpath", target));
  const body = new TextEncoder().encode(text);
  const fields = { name: "long", target: "", mode: 0o644, byteCount: body.length };
  return [headerOf({ ...fields, flag: TYPE_FLAGS.records }), body, padding(body.length)];
}

function headerOf(fields: {
  readonly name: string;
  readonly target: string;
  readonly flag: string;
  readonly mode: number;
  readonly byteCount: number;
}): Uint8Array {
  const block = new Uint8Array(BLOCK);
  const put = (at: number, text: string): void => block.set(new TextEncoder().encode(text), at);
  const octal = (value: number, digits: number): string => value.toString(8).padStart(digits, "0");
  put(0, fields.name);
  put(100, octal(fields.mode, 7));
  put(108, octal(0, 7));
  put(116, octal(0, 7));
  put(124, octal(fields.byteCount, 11));
  put(136, octal(0, 11));
  put(148, " ".repeat(8));
  put(156, fields.flag);
  put(157, fields.target);
  put(257, "ustar\0" + "00");
  const sum = block.reduce((total, byte) => total + byte, 0);
  put(148, `${octal(sum, 6)}\0 `);
  return block;
}

function padding(byteCount: number): Uint8Array {
  return new Uint8Array((BLOCK - (byteCount % BLOCK)) % BLOCK);
}
