/**
 * Reads tar archives of any author as a stream: ustar, GNU long names, PAX records.
 *
 * Nothing in an archive is believed: header checksums are checked, sizes and names bounded,
 * and an archive that ends early is an error. What an entry may do to a disk is decided by
 * whoever applies it (`apply-tar.ts`). Source: POSIX.1-2017 pax(1), GNU tar manual "Basic Tar".
 */
import type { Xattr } from "../../store/index.ts";
import { wrongImage } from "./image-error.ts";
import { laterRecords, NO_RECORDS, parsePax, type PaxRecords } from "./pax-records.ts";

export type TarEntryType =
  "file" | "hardlink" | "symlink" | "directory" | "character" | "block" | "fifo";

export interface TarEntry {
  readonly type: TarEntryType;
  /** As the archive says it. */
  readonly name: string;
  /** Target of a link. */
  readonly linkName: string;
  /** Permission bits with set-user-id, set-group-id and sticky. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly modifiedAtS: number;
  readonly byteCount: number;
  /** Extended attributes, of any namespace. */
  readonly xattrs: readonly Xattr[];
  /** The bytes of a file. What is not read is skipped when the next entry is asked for. */
  data(): AsyncGenerator<Uint8Array, void, void>;
}

const BLOCK = 512;
const NAME_BYTES_MAX = 4_096;
const RECORDS_BYTES_MAX = 1024 * 1024;
const TYPES: Readonly<Record<string, TarEntryType>> = {
  "\0": "file",
  "0": "file",
  "7": "file",
  "1": "hardlink",
  "2": "symlink",
  "3": "character",
  "4": "block",
  "5": "directory",
  "6": "fifo",
};

/** Entries in order. @throws PlatformError `invalid_request` when it is no whole, sane archive */
export async function* readTar(
  chunks: AsyncIterable<Uint8Array>,
): AsyncGenerator<TarEntry, void, void> {
  const bytes = new ByteQueue(chunks);
  let overrides = NO_RECORDS;
  try {
    for (;;) {
      const block = await bytes.take(BLOCK);
      if (block === undefined) throw wrongImage("the archive ends without an end mark");
      if (block.every((byte) => byte === 0)) return;
      const header = parseHeader(block);
      const { flag } = header;
      if (flag === "x" || flag === "L" || flag === "K") {
        overrides = laterRecords(overrides, await readRecords(bytes, header));
        continue;
      }
      if (flag === "g") {
        await readRecords(bytes, header);
        continue;
      }
      const entry = entryOf(header, overrides);
      overrides = NO_RECORDS;
      const body = new EntryBody(bytes, entry.byteCount);
      yield { ...entry, data: () => body.read() };
      await body.skip();
    }
  } finally {
    await bytes.close();
  }
}

interface Header {
  readonly flag: string;
  readonly name: string;
  readonly linkName: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly byteCount: number;
  readonly modifiedAtS: number;
}

function parseHeader(block: Uint8Array): Header {
  checkSum(block);
  const prefix = textAt(block, 257, 5) === "ustar" ? textAt(block, 345, 155) : "";
  const isGnu = textAt(block, 257, 8).startsWith("ustar  ");
  const name = textAt(block, 0, 100);
  return {
    flag: String.fromCharCode(block[156] ?? 0),
    name: prefix === "" || isGnu ? name : `${prefix}/${name}`,
    linkName: textAt(block, 157, 100),
    mode: numberAt(block, 100, 8) & 0o7777,
    uid: numberAt(block, 108, 8),
    gid: numberAt(block, 116, 8),
    byteCount: numberAt(block, 124, 12),
    modifiedAtS: numberAt(block, 136, 12),
  };
}

/** The sum of all bytes of the header, with its own field as spaces. */
function checkSum(block: Uint8Array): void {
  let sum = 0;
  for (let at = 0; at < BLOCK; at += 1) sum += at >= 148 && at < 156 ? 32 : (block[at] ?? 0);
  if (sum !== numberAt(block, 148, 8)) throw wrongImage("a header of the archive is damaged");
}

function entryOf(header: Header, { texts: records, xattrs }: PaxRecords): Omit<TarEntry, "data"> {
  const type = TYPES[header.flag];
  if (Object.keys(records).some((key) => key.startsWith("GNU.sparse"))) {
    throw wrongImage(`${header.name} is a sparse file, which images do not have`);
  }
  if (type === undefined) {
    throw wrongImage(`${header.name} is of a type "${header.flag}" that images do not have`);
  }
  const isTrailing = type === "file" && header.name.endsWith("/");
  const name = records["path"] ?? header.name;
  const byteCount = numberOf(records["size"], header.byteCount);
  const hasData = type === "file" && !isTrailing;
  return {
    type: isTrailing ? "directory" : type,
    name,
    linkName: records["linkpath"] ?? header.linkName,
    mode: header.mode,
    uid: numberOf(records["uid"], header.uid),
    gid: numberOf(records["gid"], header.gid),
    modifiedAtS: Math.floor(numberOf(records["mtime"], header.modifiedAtS)),
    byteCount: hasData ? byteCount : 0,
    xattrs,
  };
}

function numberOf(record: string | undefined, otherwise: number): number {
  if (record === undefined) return otherwise;
  const value = Number(record);
  if (record !== "" && Number.isFinite(value) && value >= 0) return value;
  throw wrongImage(`the archive has a number "${record.slice(0, 40)}"`);
}

/** A long name (GNU), or the records of a PAX header. */
async function readRecords(bytes: ByteQueue, header: Header): Promise<PaxRecords> {
  if (header.byteCount > RECORDS_BYTES_MAX) throw wrongImage("a name in the archive is too long");
  const padded = Math.ceil(header.byteCount / BLOCK) * BLOCK;
  const block = padded === 0 ? new Uint8Array(0) : await bytes.take(padded);
  if (block === undefined) throw wrongImage("the archive ends within a header");
  const body = block.subarray(0, header.byteCount);
  const text = { L: "path", K: "linkpath" }[header.flag];
  if (text === undefined) return parsePax(body);
  return { texts: { [text]: textAt(body, 0, body.length) }, xattrs: [] };
}

function textAt(block: Uint8Array, start: number, length: number): string {
  const field = block.subarray(start, start + length);
  const end = field.indexOf(0);
  const text = end < 0 ? field : field.subarray(0, end);
  if (text.length > NAME_BYTES_MAX) throw wrongImage("a name in the archive is too long");
  return new TextDecoder().decode(text);
}

/** Octal text, or a big-endian number of which the first bit is set (GNU). */
function numberAt(block: Uint8Array, start: number, length: number): number {
  const field = block.subarray(start, start + length);
  const first = field[0] ?? 0;
  if ((first & 0x80) !== 0) {
    if (first === 0xff) throw wrongImage("the archive has a negative number");
    let value = first & 0x7f;
    for (const byte of field.subarray(1)) value = value * 256 + byte;
    if (Number.isSafeInteger(value)) return value;
    throw wrongImage("the archive has a number that is too large");
  }
  const text = new TextDecoder().decode(field).replaceAll("\0", " ").trim();
  if (/^[0-7]*$/.test(text)) return text === "" ? 0 : Number.parseInt(text, 8);
  throw wrongImage("the archive has a number that is none");
}

/** The bytes of one entry: read once, or skipped. */
class EntryBody {
  readonly #bytes: ByteQueue;
  readonly #paddingBytes: number;
  #leftBytes: number;

  constructor(bytes: ByteQueue, byteCount: number) {
    this.#bytes = bytes;
    this.#leftBytes = byteCount;
    this.#paddingBytes = (BLOCK - (byteCount % BLOCK)) % BLOCK;
  }

  async *read(): AsyncGenerator<Uint8Array, void, void> {
    while (this.#leftBytes > 0) {
      const chunk = await this.#bytes.some(this.#leftBytes);
      if (chunk === undefined) throw wrongImage("the archive ends within a file");
      this.#leftBytes -= chunk.length;
      yield chunk;
    }
  }

  async skip(): Promise<void> {
    const rest = this.read();
    while ((await rest.next()).done !== true);
    if (this.#paddingBytes === 0) return;
    const padding = await this.#bytes.take(this.#paddingBytes);
    if (padding === undefined) throw wrongImage("the archive ends within a file");
  }
}

/** Bytes of a stream, taken in the sizes that are wanted. */
class ByteQueue {
  readonly #source: AsyncIterator<Uint8Array>;
  #held: Uint8Array = new Uint8Array(0);

  constructor(chunks: AsyncIterable<Uint8Array>) {
    this.#source = chunks[Symbol.asyncIterator]();
  }

  /** Exactly so many; undefined when there are fewer. */
  async take(byteCount: number): Promise<Uint8Array | undefined> {
    if (this.#held.length >= byteCount) return this.#cut(byteCount);
    const parts = [this.#held];
    let have = this.#held.length;
    while (have < byteCount) {
      const next = await this.#source.next();
      if (next.done === true) return undefined;
      parts.push(next.value);
      have += next.value.length;
    }
    this.#held = Buffer.concat(parts);
    return this.#cut(byteCount);
  }

  /** At least one and at most so many; undefined at the end. */
  async some(byteCountMax: number): Promise<Uint8Array | undefined> {
    while (this.#held.length === 0) {
      const next = await this.#source.next();
      if (next.done === true) return undefined;
      this.#held = next.value;
    }
    return this.#cut(Math.min(byteCountMax, this.#held.length));
  }

  async close(): Promise<void> {
    await this.#source.return?.();
  }

  #cut(byteCount: number): Uint8Array {
    const taken = this.#held.subarray(0, byteCount);
    this.#held = this.#held.subarray(byteCount);
    return taken;
  }
}
