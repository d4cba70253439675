import { crc32, deflateSync } from "node:zlib";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { BadPicture, decodePng, encodePng } from "./png.ts";

const SIGNATURE = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];

interface Written {
  readonly width: number;
  readonly height: number;
  readonly colorType: number;
  /** Each with its filter in front. */
  readonly rows: readonly (readonly number[])[];
  readonly depth?: number;
  readonly interlace?: number;
  readonly palette?: readonly number[];
  readonly alphas?: readonly number[];
}

/** A PNG as another program writes it. */
function png({ width, height, colorType, rows, palette, alphas, ...rest }: Written): Buffer {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([rest.depth ?? 8, colorType, 0, 0, rest.interlace ?? 0], 8);
  const packed = deflateSync(Buffer.from(rows.flat()));
  return Buffer.concat([
    Buffer.from(SIGNATURE),
    chunk("IHDR", header),
    chunk("tEXt", Buffer.from("Comment\0none")),
    ...(palette === undefined ? [] : [chunk("PLTE", Buffer.from(palette))]),
    ...(alphas === undefined ? [] : [chunk("tRNS", Buffer.from(alphas))]),
    chunk("IDAT", packed.subarray(0, 3)),
    chunk("IDAT", packed.subarray(3)),
    chunk("IEND", Buffer.alloc(0)),
  ]);
}

function chunk(type: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(type), data]);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(data.length);
  const checksum = Buffer.alloc(4);
  checksum.writeUInt32BE(crc32(body));
  return Buffer.concat([length, body, checksum]);
}

const GREY: Written = { width: 2, height: 1, colorType: 0, rows: [[0, 7, 9]] };

describe("reading a PNG", () => {
  it.each<[string, Written, readonly number[]]>([
    ["grey", GREY, [7, 7, 7, 255, 9, 9, 9, 255]],
    ["grey with alpha", { ...GREY, width: 1, colorType: 4 }, [7, 7, 7, 9]],
    ["RGB", { ...GREY, width: 1, colorType: 2, rows: [[0, 1, 2, 3]] }, [1, 2, 3, 255]],
    [
      "a palette with alpha for its first color",
      { ...GREY, colorType: 3, rows: [[0, 1, 0]], palette: [1, 2, 3, 4, 5, 6], alphas: [128] },
      [4, 5, 6, 255, 1, 2, 3, 128],
    ],
  ])("takes %s", (_name, written, rgba) => {
    expect([...decodePng(png(written)).rgba]).toEqual(rgba);
  });

  // The second row is 10 20 30 below 5 50 100 in each, by hand from the specification.
  it.each([
    ["none", 0, [10, 20, 30]],
    ["left", 1, [10, 10, 10]],
    ["up", 2, [5, 226, 186]],
    ["mean", 3, [8, 246, 226]],
    ["Paeth", 4, [5, 226, 236]],
  ])("undoes the filter %s", (_name, filter, stored) => {
    const rows = [
      [0, 5, 50, 100],
      [filter, ...stored],
    ];
    const { rgba } = decodePng(png({ width: 3, height: 2, colorType: 0, rows }));
    expect([...rgba].filter((_, at) => at % 4 === 0)).toEqual([5, 50, 100, 10, 20, 30]);
  });

  it.each<[string, Written, string]>([
    ["has no pixels", { ...GREY, width: 0 }, "no pixels"],
    ["says that it is huge", { ...GREY, width: 100_000, height: 100_000 }, "100000 x 100000"],
    ["has fewer pixels than it says", { ...GREY, width: 3 }, "fewer pixels"],
    ["unpacks to more than it says", { ...GREY, width: 1 }, "cannot be unpacked"],
    ["has an unknown filter", { ...GREY, rows: [[5, 7, 9]] }, "filter 5"],
    ["has 16 bits a sample", { ...GREY, depth: 16 }, "8 bits"],
    ["is interlaced", { ...GREY, interlace: 1 }, "interlaced"],
    ["has an unknown color type", { ...GREY, colorType: 5 }, "8 bits"],
    ["has no palette", { ...GREY, colorType: 3 }, "no palette"],
    ["has too few colors", { ...GREY, colorType: 3, palette: [1, 2, 3] }, "color 7"],
  ])("refuses one that %s", (_name, written, message) => {
    expect(() => decodePng(png(written))).toThrow(BadPicture);
    expect(() => decodePng(png(written))).toThrow(message);
  });

  it("refuses one that is cut off anywhere", () => {
    const whole = png(GREY);
    for (let length = 0; length < whole.length; length += 1) {
      expect(() => decodePng(whole.subarray(0, length))).toThrow(BadPicture);
    }
  });

  it("refuses one with any bit turned", () => {
    const whole = png(GREY);
    for (let bit = 0; bit < whole.length * 8; bit += 1) {
      const damaged = Buffer.from(whole);
      damaged[bit >> 3] = (damaged[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      expect(() => decodePng(damaged)).toThrow(BadPicture);
    }
  });
});

it("reads what it writes", () => {
  const pictures = fc
    .record({ width: fc.integer({ min: 1, max: 9 }), height: fc.integer({ min: 1, max: 9 }) })
    .chain(({ width, height }) => {
      const byteCount = width * height * 4;
      return fc
        .uint8Array({ minLength: byteCount, maxLength: byteCount })
        .map((bytes) => ({ width, height, rgba: new Uint8Array(bytes) }));
    });
  fc.assert(
    fc.property(pictures, (picture) => {
      expect(decodePng(encodePng(picture))).toEqual(picture);
    }),
  );
});
