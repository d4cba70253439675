/**
 * PNG to pixels and back, by `node:zlib` alone.
 *
 * Reads what cameras, browsers and screenshots write: 8 bits a sample, grey, RGB or a palette,
 * with or without alpha, not interlaced. Writes RGBA. The format is W3C's "Portable Network
 * Graphics (PNG) Specification", third edition.
 */
import { crc32, deflateSync, inflateSync } from "node:zlib";

/** Pixels by row from the top left, 4 bytes each: red, green, blue, alpha. */
export interface Picture {
  readonly width: number;
  readonly height: number;
  readonly rgba: Uint8Array<ArrayBuffer>;
}

/** What the bytes cannot be read as; the message is for whoever sent them. */
export class BadPicture extends Error {}

const SIGNATURE = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
/** Some kB can unpack to gigabytes, so the size that is announced is held to this first. */
const PIXELS_MAX = 25_000_000;
/** Samples a pixel, by color type. */
const CHANNELS: Readonly<Record<number, number>> = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 };
const PALETTE = 3;

/** @throws BadPicture */
export function decodePng(bytes: Uint8Array): Picture {
  const chunks = chunksOf(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
  const { width, height, colorType, channels } = headerOf(chunks);
  const packed = Buffer.concat(chunks.filter(({ type }) => type === "IDAT").map((c) => c.data));
  const samples = unfilter(inflate(packed, (width * channels + 1) * height), {
    rowBytes: width * channels,
    channels,
  });
  const palette = dataOf(chunks, "PLTE");
  if (colorType === PALETTE && palette === undefined) throw new BadPicture("it has no palette");
  const rgba = new Uint8Array(width * height * 4);
  const colors = { colorType, palette, alphas: dataOf(chunks, "tRNS") };
  for (let pixel = 0; pixel < width * height; pixel += 1) {
    rgba.set(
      colorOf(samples.subarray(pixel * channels, (pixel + 1) * channels), colors),
      pixel * 4,
    );
  }
  return { width, height, rgba };
}

/** A PNG of 8 bits a sample with alpha, its rows unfiltered. */
export function encodePng({ width, height, rgba }: Picture): Uint8Array<ArrayBuffer> {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, 6], 8);
  const rows = Buffer.alloc((width * 4 + 1) * height);
  for (let row = 0; row < height; row += 1) {
    rows.set(rgba.subarray(row * width * 4, (row + 1) * width * 4), row * (width * 4 + 1) + 1);
  }
  const chunks = [
    chunk("IHDR", header),
    chunk("IDAT", deflateSync(rows)),
    chunk("IEND", Buffer.alloc(0)),
  ];
  return new Uint8Array(Buffer.concat([SIGNATURE, ...chunks]));
}

interface Chunk {
  readonly type: string;
  readonly data: Buffer;
}

function chunksOf(file: Buffer): readonly Chunk[] {
  if (!file.subarray(0, 8).equals(SIGNATURE)) throw new BadPicture("it is no PNG");
  const chunks: Chunk[] = [];
  for (let at = 8; chunks.at(-1)?.type !== "IEND";) {
    if (at + 12 > file.length) throw new BadPicture("it ends too early");
    const end = at + 8 + file.readUInt32BE(at);
    if (end + 4 > file.length) throw new BadPicture("it ends too early");
    if (crc32(file.subarray(at + 4, end)) !== file.readUInt32BE(end)) {
      throw new BadPicture("it is damaged");
    }
    chunks.push({
      type: file.toString("latin1", at + 4, at + 8),
      data: file.subarray(at + 8, end),
    });
    at = end + 4;
  }
  return chunks;
}

function dataOf(chunks: readonly Chunk[], wanted: string): Buffer | undefined {
  return chunks.find(({ type }) => type === wanted)?.data;
}

function headerOf(chunks: readonly Chunk[]) {
  const header = dataOf(chunks, "IHDR");
  if (header?.length !== 13) throw new BadPicture("it has no header");
  const width = header.readUInt32BE(0);
  const height = header.readUInt32BE(4);
  const [depth, colorType = -1, , , interlace] = header.subarray(8);
  const channels = CHANNELS[colorType];
  if (depth !== 8 || channels === undefined || interlace !== 0) {
    throw new BadPicture("only PNGs of 8 bits a sample that are not interlaced are read");
  }
  if (width === 0 || height === 0) throw new BadPicture("it has no pixels");
  if (width * height > PIXELS_MAX) {
    throw new BadPicture(`it has ${width} x ${height} pixels; ${PIXELS_MAX} is the most`);
  }
  return { width, height, colorType, channels };
}

function inflate(packed: Buffer, byteCount: number): Buffer {
  try {
    const rows = inflateSync(packed, { maxOutputLength: byteCount });
    if (rows.length === byteCount) return rows;
  } catch (error) {
    throw new BadPicture("its pixels cannot be unpacked", { cause: error });
  }
  throw new BadPicture("it has fewer pixels than it says");
}

/** Undoes the filter that each row names in its first byte (section 9 of the specification). */
function unfilter(
  rows: Buffer,
  { rowBytes, channels }: { readonly rowBytes: number; readonly channels: number },
): Uint8Array {
  const rowCount = rows.length / (rowBytes + 1);
  const samples = new Uint8Array(rowBytes * rowCount);
  for (let row = 0; row < rowCount; row += 1) {
    const filter = rows[row * (rowBytes + 1)] ?? 0;
    if (filter > 4) throw new BadPicture(`row ${row} has filter ${filter}, which there is not`);
    const above = samples.subarray(Math.max(0, row - 1) * rowBytes, row * rowBytes);
    const current = samples.subarray(row * rowBytes, (row + 1) * rowBytes);
    for (let column = 0; column < rowBytes; column += 1) {
      // What lies outside the picture counts as 0.
      const [left = 0, up = 0, corner = 0] = [
        current[column - channels],
        above[column],
        above[column - channels],
      ];
      const stored = rows[row * (rowBytes + 1) + 1 + column] ?? 0;
      current[column] = stored + guess(filter, { left, up, corner });
    }
  }
  return samples;
}

interface Neighbors {
  readonly left: number;
  readonly up: number;
  readonly corner: number;
}

function guess(filter: number, { left, up, corner }: Neighbors): number {
  if (filter === 0) return 0;
  if (filter === 1) return left;
  if (filter === 2) return up;
  if (filter === 3) return (left + up) >> 1;
  // Paeth's: whichever neighbor is nearest to left + up - corner, ties in this order.
  const [toLeft, toUp] = [Math.abs(up - corner), Math.abs(left - corner)];
  const toCorner = Math.abs(left + up - 2 * corner);
  if (toLeft <= toUp && toLeft <= toCorner) return left;
  return toUp <= toCorner ? up : corner;
}

interface Colors {
  readonly colorType: number;
  readonly palette: Buffer | undefined;
  /** Of a palette's colors, by index. */
  readonly alphas: Buffer | undefined;
}

function colorOf(samples: Uint8Array, colors: Colors): readonly number[] {
  const [first = 0, second = 255, third = 0, fourth = 255] = samples;
  if (colors.colorType === PALETTE) return paletteColor(first, colors);
  if (samples.length <= 2) return [first, first, first, second];
  return [first, second, third, fourth];
}

function paletteColor(index: number, { palette, alphas }: Colors): readonly number[] {
  const color = palette?.subarray(index * 3, index * 3 + 3) ?? [];
  if (color.length !== 3) {
    throw new BadPicture(`a pixel has color ${index}, which its palette has not`);
  }
  return [...color, alphas?.[index] ?? 255];
}

function chunk(type: string, data: Buffer): Buffer {
  const bytes = Buffer.alloc(12 + data.length);
  bytes.writeUInt32BE(data.length, 0);
  bytes.write(type, 4, "latin1");
  bytes.set(data, 8);
  bytes.writeUInt32BE(crc32(bytes.subarray(4, 8 + data.length)), 8 + data.length);
  return bytes;
}
