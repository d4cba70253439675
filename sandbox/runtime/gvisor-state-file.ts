/**
 * gVisor's state file, with what was compressed in it stored plainly.
 *
 * Releases of gVisor from before 2023 always compress the memory that they write, and spend most
 * of a restore with unpacking it. What they read is deflate, and deflate has blocks that hold
 * their bytes as they are (RFC 1951, 3.2.4): a file of such blocks alone means the same and is
 * read as fast as it is copied.
 *
 * The layout, all numbers big endian (gVisor's pkg/state/statefile/statefile.go and
 * pkg/compressio/compressio.go of 2022, and files of release 20221219):
 *
 *     8 bytes   "gVisorSF"
 *     u64       bytes of metadata
 *               metadata: a JSON object of texts
 *     32 bytes  HMAC-SHA256, with an empty key, of all before
 *     u32       bytes of a chunk
 *     and for each chunk
 *     u32       bytes of its deflate stream
 *               that stream; it unpacks to a whole chunk, the last one's to less
 *
 * Everything before the chunks is copied, and each chunk unpacks to what it did before (held by
 * property tests). What is not exactly so is refused. Later releases have no HMAC there and say
 * in their metadata how they compress; by themselves they do not.
 *
 * Cost: O(bytes) time; a few chunks of memory, whose size is bounded.
 */
import { createHmac } from "node:crypto";
import { promisify } from "node:util";
import { inflateRaw } from "node:zlib";
import { messageOf } from "../../core/index.ts";

/** Where a state file is read from, and where the one with plain chunks goes. */
export interface StateFileEnds {
  /** The next bytes in order: so many, or fewer where the file ends. */
  readonly read: (byteCount: number) => Promise<Buffer>;
  /** Appends bytes. */
  readonly write: (bytes: Uint8Array) => Promise<void>;
}

/** What came of rewriting a state file. But for `plain`, what was written is not to be used. */
export type Rewriting =
  /** All of it was written, with plain chunks. */
  | { readonly kind: "plain" }
  /** It says that nothing in it is compressed. */
  | { readonly kind: "not_compressed" }
  | { readonly kind: "not_understood"; readonly reason: string };

const MAGIC = Buffer.from("gVisorSF", "latin1");
const HMAC_BYTES = 32;
/** As gVisor bounds it. */
const METADATA_BYTES_MAX = 16 * 1_024 * 1_024;
/** gVisor's own chunks have 1 MiB. */
const CHUNK_BYTES_MAX = 16 * 1_024 * 1_024;
/** Most bytes of a stored block; its length is a u16. */
const STORED_BYTES_MAX = 65_535;
/** Before the bytes of a stored block: whether it is the last, its length, and that inverted. */
const STORED_HEADER_BYTES = 5;

const inflate = promisify(inflateRaw);

/**
 * Writes what `read` gives with plain chunks.
 *
 * @returns why not, where it is not such a file or is damaged
 * @throws what `read` and `write` throw
 */
export async function storePlainly({ read, write }: StateFileEnds): Promise<Rewriting> {
  const head = await readHead(read);
  if (!("bytes" in head)) return head;
  await write(head.bytes);
  const { chunkBytes } = head;
  for (let position = 0, isLast = false; ; position += 1) {
    const length = await read(4);
    if (length.byteLength === 0 && position > 0) return { kind: "plain" };
    if (isLast) return notUnderstood(`chunk ${position} comes after one that is not whole`);
    const chunk = await readChunk(read, length, chunkBytes);
    if (typeof chunk === "string") return notUnderstood(`chunk ${position} ${chunk}`);
    isLast = chunk.byteLength < chunkBytes;
    await write(framed(storedDeflate(chunk)));
  }
}

/** A deflate stream of stored blocks that unpacks to these bytes. */
export function storedDeflate(bytes: Uint8Array): Buffer {
  const blockCount = Math.max(1, Math.ceil(bytes.byteLength / STORED_BYTES_MAX));
  const stream = Buffer.allocUnsafe(bytes.byteLength + blockCount * STORED_HEADER_BYTES);
  for (let block = 0, at = 0; block < blockCount; block += 1) {
    const begin = block * STORED_BYTES_MAX;
    const piece = bytes.subarray(begin, begin + STORED_BYTES_MAX);
    stream[at] = block === blockCount - 1 ? 1 : 0;
    stream.writeUInt16LE(piece.byteLength, at + 1);
    stream.writeUInt16LE(~piece.byteLength & 0xffff, at + 3);
    stream.set(piece, at + STORED_HEADER_BYTES);
    at += STORED_HEADER_BYTES + piece.byteLength;
  }
  return stream;
}

type Read = StateFileEnds["read"];

interface Head {
  /** All before the first chunk. */
  readonly bytes: Buffer;
  readonly chunkBytes: number;
}

async function readHead(read: Read): Promise<Head | Exclude<Rewriting, { kind: "plain" }>> {
  const start = await read(MAGIC.byteLength + 8);
  if (!start.subarray(0, MAGIC.byteLength).equals(MAGIC)) {
    return notUnderstood("it does not begin as gVisor's do");
  }
  if (start.byteLength < MAGIC.byteLength + 8) return notUnderstood("it is cut off in its head");
  const metadataBytes = start.readBigUInt64BE(MAGIC.byteLength);
  if (metadataBytes > METADATA_BYTES_MAX) {
    return notUnderstood(`it claims ${metadataBytes} bytes of metadata`);
  }
  const metadata = await read(Number(metadataBytes));
  const compression = compressionIn(metadata);
  if (compression === "none") return { kind: "not_compressed" };
  if (compression !== undefined) return notUnderstood(`its compression is "${compression}"`);
  const rest = await read(HMAC_BYTES + 4);
  if (rest.byteLength < HMAC_BYTES + 4) return notUnderstood("it is cut off in its head");
  const hmac = createHmac("sha256", "").update(start).update(metadata).digest();
  if (!hmac.equals(rest.subarray(0, HMAC_BYTES))) {
    return notUnderstood("its head is not followed by the hash of it");
  }
  const chunkBytes = rest.readUInt32BE(HMAC_BYTES);
  if (chunkBytes === 0 || chunkBytes > CHUNK_BYTES_MAX) {
    return notUnderstood(`it claims chunks of ${chunkBytes} bytes`);
  }
  return { bytes: Buffer.concat([start, metadata, rest]), chunkBytes };
}

/** What the metadata say of compression; undefined when nothing. */
function compressionIn(metadata: Buffer): string | undefined {
  try {
    const value: unknown = JSON.parse(metadata.toString());
    if (typeof value !== "object" || value === null || !("compression" in value)) return undefined;
    return String(value.compression);
  } catch {
    // The hash after them tells whether they are whole.
    return undefined;
  }
}

/** A chunk unpacked, or what is wrong with it. */
async function readChunk(read: Read, length: Buffer, chunkBytes: number): Promise<Buffer | string> {
  if (length.byteLength < 4) return "is cut off in its length";
  const packedBytes = length.readUInt32BE();
  // Deflate that does not become smaller is stored, and that costs far less than as much again.
  if (packedBytes > 2 * chunkBytes + 1_024) return `claims ${packedBytes} bytes`;
  const packed = await read(packedBytes);
  if (packed.byteLength < packedBytes) return `is cut off: ${packed.byteLength} of ${packedBytes}`;
  try {
    return await inflate(packed, { maxOutputLength: chunkBytes });
  } catch (error) {
    return `cannot be unpacked: ${messageOf(error)}`;
  }
}

/** A deflate stream with its length before it. */
function framed(stream: Buffer): Buffer {
  const length = Buffer.allocUnsafe(4);
  length.writeUInt32BE(stream.byteLength);
  return Buffer.concat([length, stream]);
}

function notUnderstood(reason: string): Extract<Rewriting, { kind: "not_understood" }> {
  return { kind: "not_understood", reason };
}
